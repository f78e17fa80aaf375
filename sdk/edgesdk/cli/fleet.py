"""`edgesdk fleet …`: a broker to begin with, every device live, and what they report recorded."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Cert, CertKey, Insecure, Password, Username, broker_access
from edgesdk.cli.fleet_alerts import app as alerts
from edgesdk.cli.fleet_broker_config import broker_config
from edgesdk.cli.fleet_commands import cmd, desired
from edgesdk.cli.fleet_enrol import clip_token, enrol, enrolments, revoke, service_certificate
from edgesdk.cli.fleet_enrolment_service import enrolment_service
from edgesdk.cli.fleet_grafana import grafana
from edgesdk.cli.fleet_home_assistant import home_assistant
from edgesdk.cli.fleet_ls import list_devices
from edgesdk.cli.fleet_record import record, records
from edgesdk.cli.fleet_rollout import deploy, rollback, rollouts
from edgesdk.cli.fleet_serve import serve
from edgesdk.cli.fleet_store import backup, migrate, remove, restore
from edgesdk.cli.fleet_template import app as template
from edgesdk.cli.output import JsonFlag

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _group() -> None:
    """Start a broker, watch every device live, record what they report, tell them what to do."""


@app.command()
def broker(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65535)] = 1883,
    kind: Annotated[Literal["auto", "mosquitto", "iotcore"], typer.Option(help="Which broker to start.")] = "auto",
    username: Annotated[str, typer.Option(help="Ask clients for this user.")] = "",
    password: Annotated[str, typer.Option(help="The user's password.", envvar="EDGESDK_BROKER_PASSWORD")] = "",
    open_to_network: Annotated[
        bool, typer.Option("--open-to-network", help="Let every machine of the network connect without a password.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Run an MQTT 5 broker until Ctrl-C: for a demo, a test, or one box."""
    import signal
    import threading

    from edgesdk.cli.output import next_command, note, print_json
    from edgesdk.fleet.broker import Broker, is_loopback
    from edgesdk_targets.errors import LinkError

    running = Broker(
        host=host, port=port, kind=kind, username=username, password=password, open_to_network=open_to_network
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    with running:
        url = str(running.address)
        if json_output:
            print_json({"url": url, "kind": running.program.kind, "host": host, "port": running.port})
        else:
            typer.echo(f"{running.program.kind} listens at {url} (Ctrl-C ends it)")
        if not is_loopback(host):
            note(
                f"warning: every machine that reaches {host} can connect" + ("" if username else ", without a password")
            )
        next_command(f"edgesdk fleet watch --broker {url}")
        code = running.wait(stop)
    if code is not None:
        raise LinkError(f"{running.program.kind} ended by itself, with code {code}.", hint="Start it again.")


@app.command()
def watch(
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    insecure: Insecure = False,
    tenant: Annotated[str, typer.Option(help="Show only this tenant's devices.")] = "",
    stale_after: Annotated[
        float, typer.Option(help="Seconds of silence before a device counts as stale.", min=0.1)
    ] = 30.0,
    duration: Annotated[float | None, typer.Option(help="End after this many seconds.", min=0.0)] = None,
    once: Annotated[bool, typer.Option("--once", help="Listen for 2 s (or --duration), print one table, end.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Show every device live: state, bundle, fps, age, drops, last result, temperature."""
    import asyncio
    import functools
    import time

    from edgesdk.cli.output import console, note, print_json
    from edgesdk.fleet.roster import Roster
    from edgesdk.fleet.watch import table, watch_live
    from edgesdk.fleet.watch import watch as watch_broker

    address, tls = broker_access(broker, username, password, ca=ca, cert=cert, key=key, insecure=insecure)
    roster = Roster(stale_after_s=stale_after, tenant=tenant)
    if once and duration is None:
        duration = 2.0
    if json_output or once:
        until = "until Ctrl-C" if duration is None else f"for {duration:g} s"
        ready = functools.partial(note, f"Listening to {address} {until}")
        asyncio.run(watch_broker(address, roster, tls=tls, duration_s=duration, ready=ready))
    else:
        asyncio.run(watch_live(console(), address, roster, tls=tls, duration_s=duration))
    if json_output:
        print_json({"broker": str(address), **roster.to_json(time.monotonic())})
    elif once:
        out = console()
        out.print(table(roster, address, connected=True, width=out.width))


app.command("ls")(list_devices)
app.command("broker-config")(broker_config)
app.command("service-certificate")(service_certificate)
app.command()(enrol)
app.command("enrolment-service")(enrolment_service)
app.command()(grafana)
app.command("home-assistant")(home_assistant)
app.command()(enrolments)
app.command()(revoke)
app.command("clip-token")(clip_token)
app.command()(serve)
app.command()(record)
app.command()(records)
app.command()(backup)
app.command()(restore)
app.command()(migrate)
app.command()(remove)
app.command()(cmd)
app.command()(desired)
app.add_typer(alerts, name="alerts")
app.add_typer(template, name="template")
app.command()(deploy)
app.command()(rollouts)
app.command()(rollback)
