"""`edgesdk fleet deploy | rollouts | rollback`: another model, or another agent, to many devices, wave by wave, and back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgesdk.cli.fleet_alerts import DbOption
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from edgesdk.fleet.rollout.seen import Verb

_LOOK_S = 1.0
_WHO = "command line"
# Nothing more happens by itself; a halted one waits for a person.
_AT_REST = ("done", "rolled back", "aborted", "halted", "awaiting approval")


def deploy(
    bundle: Annotated[Path, typer.Argument(help="A signed .edgebundle, or an .edgeagent.")],
    site: Annotated[str, typer.Option(help="Only devices of this site.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only devices with all of these tags.")] = None,
    target: Annotated[str, typer.Option(help="Only devices of this target.")] = "",
    state: Annotated[str, typer.Option(help="Only devices in these states, such as online.")] = "",
    policy: Annotated[
        Path | None, typer.Option(help="A file of rules: waves, gates, hours; see docs/rollouts.md.")
    ] = None,
    first: Annotated[str, typer.Option(help="The device that has it first: tenant.device.")] = "",
    approve_waves: Annotated[
        bool, typer.Option("--approve-waves", help="A person lets each further wave begin.")
    ] = False,
    shadow: Annotated[
        str,
        typer.Option(help="First let devices run it beside what they run, and change nothing: 1h, 30m, 90s at most."),
    ] = "",
    shadow_devices: Annotated[int, typer.Option(help="How many devices do so.", min=1)] = 1,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Devices that come to fit later join.")] = False,
    expect: Annotated[
        int | None, typer.Option(help="How many devices you mean; otherwise nothing begins.", min=1)
    ] = None,
    bundles: Annotated[
        Path | None, typer.Option(help="The service's --bundles; beside the store unless given.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Show how far it is, until it rests.")] = True,
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Roll a bundle or an agent out: to one device, then to more, as long as they do well. Ends with 3 where it did not stay."""
    from edgesdk.cli.output import next_command, note
    from edgesdk.fleet.rollout.shelf import Shelf
    from edgesdk.fleet.store.address import bundles_beside, parse
    from edgesdk.fleet.store.engine import opened_store, writing
    from edgesdk.fleet.store.rollout_begin import begin
    from edgesdk.fleet.store.selection import Selection
    from edgesdk_targets.time_span import seconds_of

    beside = {"lasts_s": seconds_of(shadow), "devices": shadow_devices} if shadow else None
    rules = _policy(policy, first=first, approval=approve_waves, dynamic=dynamic, shadow=beside)
    chosen = Selection(tags=tuple(tag or ()), site=site, target=target, state=state)
    with opened_store(db, create=False) as engine:
        shelved = Shelf(bundles or bundles_beside(parse(db))).put(bundle)
        with writing(engine) as connection:
            now_ms = int(time.time() * 1000)
            key = begin(connection, shelved, chosen, rules, actor=_WHO, now_ms=now_ms, expect=expect)
        note(f"{key} has begun")
        if not json_output:
            next_command(f"edgesdk fleet rollback {key} --db {db}")
        _end(engine, key, follow=follow, json_output=json_output)


def rollouts(
    key: Annotated[str, typer.Argument(help="One of them: its waves, devices, and what happened.")] = "",
    do: Annotated[Literal["pause", "resume", "approve", "abort"] | None, typer.Option(help="Ask this of it.")] = None,
    why: Annotated[str, typer.Option(help="The reason, which is kept; after a halt, resume needs one.")] = "",
    follow: Annotated[bool, typer.Option("--follow", help="Show how far it is, until it rests.")] = False,
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Show roll-outs, or one of them; pause, resume, approve or abort it."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.store.engine import opened_store, reading
    from edgesdk.fleet.store.rollout_pages import list_rollouts

    if (do is not None or follow) and not key:
        raise InputError("Which roll-out?", hint="edgesdk fleet rollouts")
    with opened_store(db, create=False) as engine:
        if key:
            if do is not None:
                _ask(engine, key, do, why)
            _end(engine, key, follow=follow, json_output=json_output)
            return
        with reading(engine) as connection:
            found = list_rollouts(connection)
    if json_output:
        print_json({"rollouts": found})
        return
    shown = table("roll-out", "is", "wave", "devices", "failed", "why")
    for one in found:
        wave = f"{one['wave']} of {one['waves']}" if one["wave"] else "shadow"
        add_row(shown, one["key"], one["status"], wave, str(one["devices"]), str(one["failed"]), one["why"])
    console().print(shown)


def rollback(
    key: Annotated[str, typer.Argument(help="The roll-out.")],
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Show how far it is, until all are back.")
    ] = True,
    db: DbOption = "fleet.db",
    json_output: JsonFlag = False,
) -> None:
    """Take a roll-out back, also after its end: every device returns to what it ran before. Ends with 3 where some stay."""
    from edgesdk.fleet.store.engine import opened_store

    with opened_store(db, create=False) as engine:
        _ask(engine, key, "rollback")
        _end(engine, key, follow=follow, json_output=json_output, wanted=("rolled back",))


def _policy(file: Path | None, **given: Any) -> Any:
    from pydantic import ValidationError

    from edgesdk.fleet.rollout.policy import Policy
    from edgesdk_targets.field_problems import field_problems
    from edgesdk_targets.yaml_file import load_yaml

    fields = load_yaml(file).data if file is not None else None
    if not isinstance(fields, dict | None):
        raise InputError(f"{file}: must be fields with values.", hint="Write `name: value`; see docs/rollouts.md.")
    try:
        return Policy.model_validate((fields or {}) | {name: value for name, value in given.items() if value})
    except ValidationError as error:
        told = " ".join(problem.sentence for problem in field_problems(Policy, error)[:3])
        raise InputError(f"The rules cannot be used: {told}", hint="See docs/rollouts.md.") from error


def _ask(engine: Engine, key: str, verb: Verb, why: str = "") -> None:
    from edgesdk.fleet.store.engine import writing
    from edgesdk.fleet.store.rollout_orders import order

    with writing(engine) as connection:
        order(connection, key, verb, actor=_WHO, now_ms=int(time.time() * 1000), why=why)


def _end(
    engine: Engine, key: str, *, follow: bool, json_output: bool, wanted: Sequence[str] = ("done", "awaiting approval")
) -> None:
    """Print a roll-out as it is, or as it rests; the exit code is 3 where that is not what was wanted, or some stay."""
    from edgesdk.cli.output import add_row, console, print_json, table

    found = _followed(engine, key) if follow else _read(engine, key)
    if json_output:
        print_json(found)
    else:
        shown = table("device", "wave", "is", "says", "why")
        for one in found["shown"]:
            add_row(shown, one["node"], str(one["wave"]), one["failure"] or one["step"], one["said"], one["why"])
        console().print(shown)
        typer.echo(_line(found))
    some_stay = found["status"] == "rolled back" and found["steps"].get("stays")
    if follow and (found["status"] not in wanted or some_stay):
        raise typer.Exit(3)


def _followed(engine: Engine, key: str) -> dict[str, Any]:
    from edgesdk.cli.output import note

    told = ""
    while True:
        found = _read(engine, key)
        line = _line(found)
        if line != told:
            note(line)
            told = line
        if found["status"] in _AT_REST and not found["asked"]:
            return found
        time.sleep(_LOOK_S)


def _read(engine: Engine, key: str) -> dict[str, Any]:
    from edgesdk.fleet.store.engine import reading
    from edgesdk.fleet.store.rollout_pages import rollout_page

    with reading(engine) as connection:
        return rollout_page(connection, key, int(time.time() * 1000))


def _line(found: dict[str, Any]) -> str:
    steps = ", ".join(f"{count} {step}" for step, count in sorted(found["steps"].items()))
    why = found["driver"] or found["why"]
    wave = f"wave {found['wave']} of {found['waves']}" if found["wave"] else "shadow wave"
    return f"{found['key']}: {found['status']}, {wave}: {steps}{f' ({why})' if why else ''}"
