"""`edgesdk fleet ls`: the devices of a fleet's store, each with its state: what scripts ask, and whoever has no browser at hand."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from edgesdk.cli.fleet_alerts import DbOption
from edgesdk.cli.output import JsonFlag


def list_devices(
    site: Annotated[str, typer.Option(help="Only devices of this site.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only devices with all of these tags.")] = None,
    target: Annotated[str, typer.Option(help="Only devices of this target.")] = "",
    state: Annotated[
        str,
        typer.Option(help="Only devices in these states: online, degraded, updating, offline, never_seen, revoked."),
    ] = "",
    bundle: Annotated[str, typer.Option(help="Only devices that run this: a name, or name@version.")] = "",
    text: Annotated[str, typer.Option(help="Only devices with this in their name or title.")] = "",
    sort: Annotated[
        str, typer.Option(help="name, site, heard_ms or a figure such as fps; downwards with a - before it.")
    ] = "name",
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 1000,
    cursor: Annotated[str, typer.Option(help="Go on where --json said `next`.")] = "",
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """List the devices that a store knows: state, site, target, bundle, when each was heard, frames a second, health."""
    from edgesdk.cli.output import add_row, console, note, print_json, table
    from edgesdk.fleet.store import devices
    from edgesdk.fleet.store.engine import opened_store, reading
    from edgesdk.fleet.store.selection import Selection

    chosen = Selection(tags=tuple(tag or ()), site=site, target=target, state=state, bundle=bundle, text=text)
    now_ms = int(time.time() * 1000)
    with opened_store(db, create=False) as engine, reading(engine) as connection:
        page = devices.find(connection, chosen, now_ms, sort=sort, cursor=cursor, limit=limit)
    found = [devices.as_told(one) for one in page.items]
    if json_output:
        print_json({"devices": found, "next": page.next})
        return
    shown = table("device", "state", "site", "target", "bundle", "heard", "frames/s", "health")
    for one in found:
        add_row(shown, *_cells(one, now_ms))
    console().print(shown)
    if page.next:
        note(f"more follow: --cursor {page.next}")


def _cells(one: dict[str, Any], now_ms: int) -> tuple[str, ...]:
    from edgesdk.fleet.dashboard.words import ago, figure

    bundle = f"{one['bundle_name']} {one['bundle_version']}".strip()
    # One that never spoke says nothing of its health.
    fps, health = figure(one["figures"]["fps"], 1), one["health"] or ""
    return (
        one["node"],
        one["state"],
        one["site"],
        one["target"],
        bundle,
        ago(one["heard_ms"], now_ms),
        fps,
        health,
    )
