"""Every device at a glance: a table that follows what they say, or one JSON document at the end."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgesdk.fleet.roster import Roster, Row
from edgesdk.fleet.subscriber import Received, Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.topics import Channel, every_device

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

WATCHED = (Channel.BIRTH, Channel.STATE, Channel.RESULT, Channel.TELEMETRY, Channel.EVENT)
_REFRESH_S = 0.5
_STYLES = {"online": "green", "offline": "red", "stale": "yellow", "unknown": "dim"}


async def watch(
    address: BrokerAddress,
    roster: Roster,
    *,
    tls: ssl.SSLContext | None = None,
    duration_s: float | None = None,
    show: Callable[[bool], None] | None = None,
) -> None:
    """Feed a roster from a broker until the time is up, or the process is told to stop (Ctrl-C, SIGTERM).

    Args:
        address: the broker.
        roster: takes what comes.
        tls: TLS settings, where the address says TLS.
        duration_s: how long; without end when None.
        show: is called at once and then twice a second, with whether there is a connection.

    Raises:
        NotConnected: there is no connection at the start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    def receive(got: Received) -> None:
        roster.receive(got.topic, got.payload, got.content_type, retained=got.retained, now=time.monotonic())

    subscriber = Subscriber(address, [every_device(channel) for channel in WATCHED], receive, tls=tls)
    try:
        await subscriber.start()
        end = None if duration_s is None else loop.time() + duration_s
        while not stop.is_set() and (end is None or loop.time() < end):
            if show is not None:
                show(subscriber.connected)
            left = _REFRESH_S if end is None else min(_REFRESH_S, max(0.0, end - loop.time()))
            await _wait(stop, left)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        await subscriber.stop()


async def watch_live(
    console: Console,
    address: BrokerAddress,
    roster: Roster,
    *,
    tls: ssl.SSLContext | None = None,
    duration_s: float | None = None,
) -> None:
    """Watch, with a table on the terminal that is drawn anew twice a second."""
    from rich.live import Live

    with Live(console=console, auto_refresh=False, transient=False) as live:

        def show(connected: bool) -> None:
            live.update(table(roster, address, connected=connected), refresh=True)

        await watch(address, roster, tls=tls, duration_s=duration_s, show=show)


def table(roster: Roster, address: BrokerAddress, *, connected: bool) -> RenderableType:
    """Draw the roster."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, justify in _COLUMNS.items():
        made.add_column(name, justify="right" if justify else "left", overflow="fold", no_wrap=bool(justify))
    rows = roster.rows(time.monotonic())
    for row in rows:
        made.add_row(*(Text(text, style=style) for text, style in _cells(row)))
    lines: list[RenderableType] = [made] if rows else [Text("No device has said anything yet.", style="dim")]
    lines.append(Text(_footer(roster, address, connected=connected), style="dim" if connected else "red"))
    return Group(*lines)


# Name, and whether it is a number.
_COLUMNS = {
    "device": False,
    "state": False,
    "bundle": False,
    "fps": True,
    "age p95": True,
    "drops": True,
    "lost": True,
    "results": True,
    "last result": False,
    "temp": True,
    "heard": True,
}


def _cells(row: Row) -> list[tuple[str, str]]:
    from edgesdk.fleet.result_text import printable

    sample = row.sample
    age = sample.age_ms.p95 if sample else None
    lost = sum(sample.lost.values()) if sample else 0
    bundle = printable(f"{row.bundle.name} {row.bundle.version}".strip(), 40)
    return [
        (row.node, "bold"),
        (row.state, _STYLES[row.state]),
        (bundle or "-", ""),
        (_figure(sample.fps if sample else None, "{:.1f}"), ""),
        (_figure(age, "{:.0f} ms"), ""),
        (str(row.dropped) if sample else "-", ""),
        (str(lost + row.missing), "red" if lost + row.missing else ""),
        (str(row.results), ""),
        (row.last_result or row.last_event or "-", ""),
        (_figure(sample.temperature_c if sample else None, "{:.0f} °C"), ""),
        (_figure(row.heard_s, "{:.0f} s"), "yellow" if row.state == "stale" else ""),
    ]


def _footer(roster: Roster, address: BrokerAddress, *, connected: bool) -> str:
    link = f"{address}" if connected else f"{address}: no connection, trying again"
    text = f"{link}   {roster.messages} messages"
    if roster.malformed:
        text += f"   {roster.malformed} unreadable, the last: {roster.malformed_last}"
    return text


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except asyncio.TimeoutError:
        return
