"""`edgesdk sim`: many devices in one process that speak as real ones do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgesdk.cli.broker_access import HERE, BrokerUrl, Ca, Insecure, Password, Username, address_with_login
from edgesdk.cli.output import JsonFlag

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from edgesdk.fleet.sim.simulation import Simulation

_PROFILES = "steady, shop, flapping, morning, quiet or results"


def sim(
    devices: Annotated[int, typer.Option("--devices", "-n", help="How many.", min=1)] = 10,
    rate: Annotated[
        float | None, typer.Option(help="Reports a second of each device; the profile's unless given.", min=0.0)
    ] = None,
    profile: Annotated[str, typer.Option(help=f"How they live: {_PROFILES}.")] = "steady",
    duration: Annotated[float | None, typer.Option(help="End after this many seconds.", min=0.0)] = None,
    broker: BrokerUrl = HERE,
    username: Username = "",
    password: Password = "",
    ca: Ca = None,
    certs: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with NODE.crt and NODE.key of each device.")
    ] = None,
    insecure: Insecure = False,
    tenant: Annotated[str, typer.Option(help="The devices' tenant.")] = "local",
    prefix: Annotated[str, typer.Option(help="They are called PREFIX-00001 and so on.")] = "sim",
    faults: Annotated[
        str,
        typer.Option(help="Shares of the fleet: disconnect=0.1,duplicate=0.1,malformed=0.1,clock=0.1,slow=0.1."),
    ] = "",
    within: Annotated[
        float | None, typer.Option(help="Seconds in which they connect; a thousand a second unless given.", min=0.0)
    ] = None,
    drain: Annotated[
        float, typer.Option(help="At the end, wait so many seconds until all is told as stored.", min=0.0)
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    json_output: JsonFlag = False,
) -> None:
    """Simulate a fleet: devices that are born, report with numbers, and keep each report until a collector has it.

    They speak the real protocol, so the dashboard, the collector and alerts see them as any other device.
    """
    import signal
    import threading
    from contextlib import ExitStack

    from edgesdk.cli.output import console, print_json
    from edgesdk.fleet.sim.certificates import tls_of_devices
    from edgesdk.fleet.sim.faults import Shares
    from edgesdk.fleet.sim.profiles import profile_named
    from edgesdk.fleet.sim.simulation import Plan, Simulation

    plan = Plan(
        devices, profile_named(profile), rate=rate, shares=Shares.parse(faults), tenant=tenant, prefix=prefix,
        duration_s=duration, within_s=within, drain_s=drain, seed=seed,
    )  # fmt: skip
    plan.nodes()
    address = address_with_login(broker, username, password)
    simulation = Simulation(plan, address, tls_of_devices(address, ca=ca, folder=certs, insecure=insecure))
    stop = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def end(number: int, _frame: object) -> None:
        stop.set()
        # Whoever asks twice does not want to wait for goodbyes.
        signal.signal(number, before[signal.Signals(number)])

    with ExitStack() as stack:
        for number, handler in before.items():
            signal.signal(number, end)
            stack.callback(signal.signal, number, handler)
        live = not json_output and console().is_terminal
        show = _live(simulation, stack) if live else _lines(simulation)
        done = simulation.run(stop.is_set, show)
    if json_output:
        print_json(done)
    else:
        _print_done(done)


def _lines(simulation: Simulation) -> Callable[[int], None]:
    """Return what tells on stderr, each five seconds, how it goes."""
    from edgesdk.cli.output import note

    shown_at = -5.0

    def show(kept: int) -> None:
        nonlocal shown_at
        if simulation.seconds - shown_at >= 5.0:
            shown_at = simulation.seconds
            told = simulation.figures
            note(
                f"{told.connected} of {told.devices} connected, {told.made} reports made, {told.told_stored} stored, "
                f"{kept} kept" + (f"; {told.problem}" if told.problem and told.connected < told.devices else "")
            )

    return show


def _live(simulation: Simulation, stack: Any) -> Callable[[int], None]:
    """Return what draws, on a terminal, how it goes."""
    from rich.live import Live

    from edgesdk.cli.output import console

    shown = stack.enter_context(Live(console=console(), auto_refresh=False))
    return lambda kept: shown.update(_table(simulation, kept), refresh=True)


def _table(simulation: Simulation, kept: int) -> RenderableType:
    from edgesdk.cli.output import add_row, table

    told = simulation.figures
    made = table("", "", title=f"{simulation.plan.profile.name}, {simulation.seconds:.0f} s (Ctrl-C ends it)")
    for name, value in (
        ("connected", f"{told.connected} of {told.devices}"),
        ("connections lost", str(told.lost)),
        ("reports", f"{told.made} ({told.made / max(simulation.seconds, 1):.0f}/s)"),
        ("stored", str(told.told_stored)),
        ("not told as stored", str(kept)),
        ("sent again", str(told.resent)),
        ("stored after", _delays(told.stored_after.to_json())),
        ("problem", told.problem if told.connected < told.devices or told.refused else ""),
    ):
        add_row(made, name, value)
    return made


def _delays(delays: dict[str, float | None]) -> str:
    if delays["p50"] is None:
        return "-"
    return f"{delays['p50']:.0f} ms, 99 of 100 within {delays['p99']:.0f} ms"


def _print_done(done: dict[str, Any]) -> None:
    from edgesdk.cli.output import add_row, console, note, table

    made = table("what", "how many")
    for name in ("devices", "connections", "made", "told_stored", "kept", "dropped", "resent", "refused_by_broker"):
        add_row(made, name.replace("_", " "), str(done[name]))
    add_row(made, "stored after", _delays(done["stored_after_ms"]))
    console().print(made)
    if done["kept"] and not done["acks"]:
        note("No collector told anything as stored: edgesdk fleet record, or edgesdk fleet serve, does.")
    elif done["problem"]:
        note(f"Last problem: {done['problem']}")
