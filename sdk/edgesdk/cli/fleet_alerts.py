"""`edgesdk fleet alerts …`: what goes on, who is told, and by which rules."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from edgesdk.cli.output import JsonFlag
from edgesdk_targets.errors import InputError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

DbOption = Annotated[
    str, typer.Option("--db", help="The fleet's store: a file, or postgresql://…", envvar="EDGESDK_FLEET_DB")
]
SealOption = Annotated[
    Path,
    typer.Option(
        "--seal", help="The key that closes channels' secrets; made where it is absent.", envvar="EDGESDK_SEAL"
    ),
]
_SEAL = Path("seal.key")


@app.callback()
def _group() -> None:
    """Rules over the fleet, what they found, and who is told."""


@app.command("ls")
def list_alerts(
    db: DbOption = "fleet.db",
    everything: Annotated[bool, typer.Option("--all", help="Also those that have ended.")] = False,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=1000)] = 100,
    json_output: JsonFlag = False,
) -> None:
    """List alerts: those that go on, or all."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.store import alert_pages
    from edgesdk.fleet.store.engine import opened_store, reading

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        state = "firing,cleared" if everything else "firing"
        page = alert_pages.list_alerts(connection, state=state, limit=limit)
        found = [alert_pages.alert_json(row) for row in page.items]
    if json_output:
        print_json({"alerts": found})
        return
    shown = table("state", "severity", "rule", "device", "since", "figure")
    for one in found:
        figure = "" if one["value"] is None else f"{one['value']:.4g}"
        add_row(shown, one["state"], one["severity"], one["rule"], one["node"], _when(one["since_ms"]), figure)
    console().print(shown)


@app.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(help="Rules, channels and silences, in YAML.")],
    db: DbOption = "fleet.db",
    seal: SealOption = _SEAL,
    json_output: JsonFlag = False,
) -> None:
    """Write rules, channels and silences from a file into the store, whole or not at all."""
    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.alerts.channel_settings import Seal
    from edgesdk.fleet.alerts.settings_file import apply_settings, read_settings
    from edgesdk.fleet.store.engine import opened_store, writing

    found = read_settings(file)
    with opened_store(db) as engine, writing(engine) as connection:
        done = apply_settings(connection, found, Seal.in_file(seal), "command line", int(time.time() * 1000))
    if json_output:
        print_json(done)
        return
    note(", ".join(f"{count} {name}" for name, count in done.items()))
    next_command(f"edgesdk fleet alerts show --db {db}")


@app.command("show")
def show(db: DbOption = "fleet.db", json_output: JsonFlag = False) -> None:
    """Show rules, channels (without their secrets) and silences."""
    from edgesdk.cli.output import add_row, console, print_json, table
    from edgesdk.fleet.alerts.channel_settings import shown_settings
    from edgesdk.fleet.alerts.notice import limit_text
    from edgesdk.fleet.store.alert_rules import list_channels, list_rules, list_silences
    from edgesdk.fleet.store.engine import opened_store, reading

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        rules = list(list_rules(connection).values())
        channels = list_channels(connection)
        silences = list_silences(connection, int(time.time() * 1000))
    if json_output:
        print_json(
            {
                "rules": [rule.model_dump(mode="json") for rule in rules],
                "channels": [{"name": c.name, "kind": c.kind, **shown_settings(c.settings)} for c in channels],
                "silences": [{"id": row, **one.model_dump(mode="json")} for row, one in silences.items()],
            }
        )
        return
    shown = table("rule", "kind", "limit", "for", "tells", "on")
    for rule in rules:
        tells = ", ".join(rule.channels) or "all"
        add_row(
            shown, rule.name, rule.kind, limit_text(rule), f"{rule.waits_s:g} s", tells, "yes" if rule.enabled else "no"
        )
    console().print(shown)
    told = table("channel", "kind", "settings")
    for one in channels:
        settings = ", ".join(f"{k}={v}" for k, v in shown_settings(one.settings).items() if v not in (None, "", []))
        add_row(told, one.name, one.kind, settings)
    console().print(told)


@app.command("remove")
def remove(
    rule: Annotated[str, typer.Option(help="A rule's name.")] = "",
    channel: Annotated[str, typer.Option(help="A channel's name.")] = "",
    silence: Annotated[int, typer.Option(help="A silence's number, which ends now.")] = 0,
    db: DbOption = "fleet.db",
) -> None:
    """Remove a rule or a channel, or end a silence."""
    from edgesdk.fleet.store import alert_rules
    from edgesdk.fleet.store.engine import opened_store, writing

    if (bool(rule), bool(channel), bool(silence)).count(True) != 1:
        raise InputError("Name one thing to remove.", hint="--rule NAME, --channel NAME or --silence NUMBER")
    with opened_store(db, create=False) as engine, writing(engine) as connection:
        if rule:
            alert_rules.delete_rule(connection, rule)
        elif channel:
            alert_rules.delete_channel(connection, channel)
        else:
            alert_rules.end_silence(connection, silence, int(time.time() * 1000))


@app.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(help="The channel to try.")],
    db: DbOption = "fleet.db",
    seal: SealOption = _SEAL,
    json_output: JsonFlag = False,
) -> None:
    """Send a notice that says that it is a trial, once, and say what became of it."""
    from edgesdk.cli.output import note, print_json
    from edgesdk.fleet.alerts.channel_settings import Seal, channel_from
    from edgesdk.fleet.alerts.trial import send_trial
    from edgesdk.fleet.store.alert_rules import list_channels
    from edgesdk.fleet.store.engine import opened_store, reading

    with opened_store(db, create=False) as engine, reading(engine) as connection:
        found = next((one for one in list_channels(connection) if one.name == channel), None)
    if found is None:
        raise InputError(f"There is no channel {channel[:80]!r}.", hint="edgesdk fleet alerts show")
    if found.kind == "mqtt":
        raise InputError(
            "A channel of the kind mqtt speaks over the service's own connection.",
            hint="Try it on the service's page of channels.",
        )
    sent = send_trial(
        channel_from(found.name, found.kind, found.settings, Seal.in_file(seal)), datetime.now(timezone.utc)
    )
    if json_output:
        print_json({"channel": channel, "sent": sent})
    else:
        note(f"{channel} took it")


@app.command("run")
def run(
    db: DbOption = "fleet.db",
    seal: SealOption = _SEAL,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 5.0,
    duration: Annotated[float | None, typer.Option(help="End after this many seconds.", min=0.0)] = None,
) -> None:
    """Look at the fleet and tell people, until Ctrl-C: where no service does it."""
    import signal
    import threading

    from edgesdk.cli.output import note
    from edgesdk.fleet.alerts.channel_settings import Seal
    from edgesdk.fleet.alerts.watch import AlertWatch
    from edgesdk.fleet.store.engine import opened_store

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with opened_store(db, create=False) as engine:
        watch = AlertWatch(engine, Seal.in_file(seal), every_s=every)
        note(f"Watching {db}, every {every:g} s (Ctrl-C ends it)")
        watch.start()
        try:
            stop.wait(duration)
        finally:
            watch.stop()


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).isoformat(timespec="seconds")
