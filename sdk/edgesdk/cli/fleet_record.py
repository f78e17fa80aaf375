"""`edgesdk fleet record` keeps what devices report, and `edgesdk fleet records` shows what is kept."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from edgesdk.fleet.store.batch import Kind
    from edgesdk.fleet.store.records import Records

DbOption = Annotated[
    str, typer.Option("--db", help="The store: a file, or postgresql://user@host/fleet.", envvar="EDGESDK_FLEET_DB")
]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def record(
    broker: BrokerUrl = HERE,
    db: DbOption = "fleet.db",
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for a broker that is not there at the start.")] = False,
    keep: Annotated[
        int, typer.Option(help="Seconds for which the broker keeps messages while this is away.", min=0, max=604800)
    ] = 3600,
    retain: Annotated[
        str,
        typer.Option(help="How long what is kept, for example raw=72h,minutes=90d,hours=forever,events=1y,media=30d."),
    ] = "raw=forever,minutes=forever,events=forever,media=forever",
    media: Annotated[Path | None, typer.Option(help="Folder for pictures; beside the file unless given.")] = None,
    duration: Annotated[float | None, typer.Option(help="End after this many seconds.", min=0.0)] = None,
    json_output: JsonFlag = False,
) -> None:
    """Record what every device reports, and tell each what it may forget. Ctrl-C commits and ends.

    Into PostgreSQL, any number may record at once: they share the devices' messages.
    """
    import asyncio
    import time
    from contextlib import closing

    from edgesdk.cli.output import console, next_command, note, print_json
    from edgesdk.fleet.collect.collection_pause import rare_collections
    from edgesdk.fleet.collect.collector import Collector
    from edgesdk.fleet.collect.thread_turns import short_turns
    from edgesdk.fleet.store.ingest import Ingest
    from edgesdk.fleet.store.retention import Keep

    kept = Keep.parse(retain)
    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)
    began = time.monotonic()
    with closing(Ingest(db, media=media)) as store:
        # Of a run with an end, nothing stays behind at the broker.
        collector = Collector(address, store, tls=tls, keep_s=keep if duration is None else 0, keep=kept)
        with rare_collections(), short_turns():
            asyncio.run(_run(collector, duration, wait=wait, live=not json_output and console().is_terminal))
        done = collector.to_json(time.monotonic() - began)
    if json_output:
        print_json(done)
        return
    note(
        f"Recorded {done['stored']} reports of {len(done['nodes'])} devices in {done['db']}; {done['refused']} in quarantine"
    )
    next_command(f"edgesdk fleet records --db {done['db']}")


def records(
    db: DbOption = "fleet.db",
    node: Annotated[str, typer.Option(help="One device: its name, or tenant.device.")] = "",
    since: Annotated[str, typer.Option(help="From this time on: 2026-01-31T12:00Z, or 10m, 2h, 3d ago.")] = "",
    until: Annotated[str, typer.Option(help="Before this time.")] = "",
    kind: Annotated[str, typer.Option(help="Only results, telemetry or events; several with commas.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many, the newest; 0 shows all.", min=0)] = 20,
    gaps: Annotated[bool, typer.Option("--gaps", help="Show what is not there, and why.")] = False,
    quarantine: Annotated[bool, typer.Option("--quarantine", help="Show what could not be read.")] = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help="Print one record a line, oldest first, without limit.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Show what a record holds: each device; or records, what is missing, what could not be read."""
    from edgesdk.cli.output import print_json
    from edgesdk.fleet.store.records import Asked, Records

    if gaps + quarantine + jsonl > 1:
        raise InputError("--gaps, --quarantine and --jsonl exclude one another.", hint="Give one of them.")
    asked = Asked(node, _moment(since, "--since"), _moment(until, "--until"), _kinds(kind))
    with Records(db) as held:
        held.check_node(node)
        if jsonl:
            _print_lines(held, asked)
            return
        name, found = _found(held, asked, limit or None, gaps=gaps, quarantine=quarantine)
    if json_output:
        print_json({"db": str(held.place), **(found if isinstance(found, dict) else {name: found})})
    else:
        _print_table(name, found)


async def _run(collector: Any, duration: float | None, *, wait: bool, live: bool) -> None:
    import asyncio
    import signal

    from edgesdk.cli.output import console, note
    from edgesdk.fleet.collect.live import LiveTable

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        if not live:
            until = "until Ctrl-C" if duration is None else f"for {duration:g} s"

            told = ""

            def show() -> None:
                nonlocal told
                if collector.problem != told:
                    note(collector.problem or f"Connected to {collector.address}")
                    told = collector.problem

            def ready() -> None:
                show()
                note(f"Records {collector.address} {until}")

            await collector.run(stop, duration_s=duration, wait=wait, ready=ready, show=show)
            return
        from rich.live import Live

        table = LiveTable(collector)
        with Live(console=console(), auto_refresh=False) as shown:
            await collector.run(
                stop, duration_s=duration, wait=wait, show=lambda: shown.update(table.draw(), refresh=True)
            )
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def _found(held: Records, asked: Any, limit: int | None, *, gaps: bool, quarantine: bool) -> tuple[str, Any]:
    if gaps:
        return "gaps", held.gaps(asked.node)
    if quarantine:
        return "quarantine", held.quarantine(limit)
    if asked.node or asked.since or asked.until or asked.kinds:
        return "records", list(held.find(asked, limit=limit))
    return "nodes", held.nodes()


def _print_lines(held: Records, asked: Any) -> None:
    import json
    import sys

    for one in held.find(asked, limit=None, newest_first=False):
        sys.stdout.write(json.dumps(one, ensure_ascii=False, allow_nan=False) + "\n")


_COLUMNS = {
    "nodes": ("node", "records", "result", "telemetry", "event", "upto", "missing", "lost", "last_at"),
    "records": ("at", "node", "kind", "seq", "says"),
    "gaps": ("node", "first", "last", "cause", "lost"),
    "quarantine": ("received_at", "topic", "reason", "size_bytes"),
}


def _print_table(name: str, found: Any) -> None:
    from edgesdk.cli.output import add_row, console, note, table

    rows = found["messages"] if name == "quarantine" else found
    made = table(*_COLUMNS[name])
    for row in rows:
        shown = {**row, "says": _says(row["message"])} if name == "records" else row
        add_row(made, *("-" if shown[column] is None else str(shown[column]) for column in _COLUMNS[name]))
    if rows:
        console().print(made)
    else:
        note({"gaps": "Nothing is missing.", "quarantine": "Nothing was refused."}.get(name, "There is nothing."))
    if name == "quarantine" and found["refused"] > len(rows):
        note(f"{found['refused']} were refused in all; {found['kept']} are kept.")


def _says(message: dict[str, Any]) -> str:
    """Return what a record says, in a few words."""
    from edgesdk.fleet.result_text import printable, result_text

    if "result" in message:
        return f"{printable(str(message.get('camera', '')), 20)}: {result_text(message['result'])}"
    if "samples" in message:
        last = message["samples"][-1]
        fps = last.get("fps")
        return f"{'-' if fps is None else f'{fps:.1f}'} fps, {last.get('queued', 0)} queued"
    return printable(f"{message.get('severity', '')} {message.get('name', '')}: {message.get('message', '')}", 100)


def _kinds(text: str) -> tuple[Kind, ...]:
    """Read kinds of records, in the singular or plural.

    Raises:
        InputError: there is no such kind.
    """
    from edgesdk.fleet.store.batch import Kind

    known = {kind.label: kind for kind in (Kind.RESULT, Kind.TELEMETRY, Kind.EVENT)}
    wanted = [word.strip().lower().removesuffix("s") for word in text.split(",") if word.strip()]
    for word in wanted:
        if word not in known:
            raise InputError(f"{word[:40]!r} is no kind of record.", hint=f"One of {', '.join(known)}.")
    return tuple(known[word] for word in wanted)


def _moment(text: str, option: str) -> datetime | None:
    """Read a time, or how long ago it was.

    Raises:
        InputError: it is neither.
    """
    if not text:
        return None
    number, unit = text[:-1], text[-1:]
    try:
        if unit in _UNITS and number.replace(".", "", 1).isdigit():
            return datetime.now(timezone.utc) - timedelta(seconds=float(number) * _UNITS[unit])
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{option} {text[:60]!r} is no time.", hint="Write 2026-01-31T12:00Z, or 10m, 2h, 3d for so long ago."
        ) from error
    return moment if moment.tzinfo is not None else moment.astimezone()
