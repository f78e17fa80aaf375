"""Every device at a glance: a table that follows what they say, or one JSON document at the end."""

from __future__ import annotations

import asyncio
import signal
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.result_text import printable
from edgesdk.fleet.roster import Roster, Row
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.messages import Sample
from edgesdk_targets.topics import Channel, every_device

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

WATCHED = (Channel.BIRTH, Channel.STATE, Channel.RESULT, Channel.TELEMETRY, Channel.EVENT)
_REFRESH_S = 0.5
# Below this many columns of text, what is nice to have makes room for what matters.
_WIDE = 110
_FILLER = "last result"
_SHORTEST_RESULT = 8
_LONGEST_NAME = 40
_STYLES = {"online": "green", "offline": "red", "stale": "yellow", "unknown": "dim"}


async def watch(
    address: BrokerAddress,
    roster: Roster,
    *,
    tls: ssl.SSLContext | None = None,
    duration_s: float | None = None,
    ready: Callable[[], None] | None = None,
    show: Callable[[bool], None] | None = None,
) -> None:
    """Feed a roster from a broker until the time is up, or the process is told to stop (Ctrl-C, SIGTERM).

    Args:
        address: the broker.
        roster: takes what comes.
        tls: TLS settings, where the address says TLS.
        duration_s: how long; without end when None.
        ready: is called when the broker has confirmed that it will pass everything on.
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
        if ready is not None:
            ready()
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
            live.update(table(roster, address, connected=connected, width=console.width), refresh=True)

        await watch(address, roster, tls=tls, duration_s=duration_s, show=show)


def table(roster: Roster, address: BrokerAddress, *, connected: bool, width: int = 120) -> RenderableType:
    """Draw the roster; less important columns are left out where the terminal is narrower than `width` needs."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    rows = roster.rows(time.monotonic())
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    columns = [c for c in _COLUMNS if width >= _WIDE or c.always or (c.name == "lost" and any(map(_lost, rows)))]
    cells = [[Text(*column.cell(row)) for column in columns] for row in rows]
    for column in columns:
        made.add_column(
            column.name,
            justify="right" if column.number else "left",
            no_wrap=True,
            overflow="ellipsis",
            max_width=_room(columns, cells, width) if column.name == _FILLER else _LONGEST_NAME,
        )
    for line in cells:
        made.add_row(*line)
    lines: list[RenderableType] = [made] if rows else [Text("No device has said anything yet.", style="dim")]
    lines.append(Text(_footer(roster, address, connected=connected), style="dim" if connected else "red"))
    return Group(*lines)


@dataclass(frozen=True, slots=True)
class _Column:
    """One column: how a row's cell reads, as text and style."""

    name: str
    cell: Callable[[Row], tuple[str, str]]
    number: bool = True
    always: bool = True


def _room(columns: Sequence[_Column], cells: Sequence[Sequence[Text]], width: int) -> int:
    """Return what the other columns leave for the last result, so that it is the one that is cut."""
    others = 0
    for index, column in enumerate(columns):
        if column.name != _FILLER:
            others += min(_LONGEST_NAME, max(len(column.name), *(line[index].cell_len for line in cells), 0)) + 2
    return max(_SHORTEST_RESULT, width - others)


def _lost(row: Row) -> int:
    return row.missing + (sum(row.sample.lost.values()) if row.sample else 0)


def _bundle(row: Row) -> str:
    return printable(f"{row.bundle.name} {row.bundle.version}".strip(), 32) or "-"


def _sampled(form: str, value: Callable[[Sample], float | None]) -> Callable[[Row], tuple[str, str]]:
    return lambda row: (_figure(value(row.sample) if row.sample else None, form), "")


def _figure(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


_COLUMNS = (
    _Column("device", lambda row: (row.node, "bold"), number=False),
    _Column("state", lambda row: (row.state, _STYLES[row.state]), number=False),
    _Column("bundle", lambda row: (_bundle(row), ""), number=False),
    _Column("fps", _sampled("{:.1f}", lambda sample: sample.fps)),
    _Column("age p95", _sampled("{:.0f} ms", lambda sample: sample.age_ms.p95)),
    _Column("drops", _sampled("{:.0f}", lambda sample: sum(sample.dropped.values()))),
    _Column("lost", lambda row: (str(_lost(row)), "red" if _lost(row) else ""), always=False),
    _Column("results", lambda row: (str(row.results), ""), always=False),
    _Column("last result", lambda row: (row.last_result or row.last_event or "-", ""), number=False),
    _Column("temp", _sampled("{:.0f} °C", lambda sample: sample.temperature_c)),
    _Column("heard", lambda row: (_figure(row.heard_s, "{:.0f} s"), ""), always=False),
)


def _footer(roster: Roster, address: BrokerAddress, *, connected: bool) -> str:
    link = f"{address}" if connected else f"{address}: no connection, trying again"
    text = f"{link}   {roster.messages} messages"
    if roster.malformed:
        text += f"   {roster.malformed} unreadable, the last: {roster.malformed_last}"
    return text


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), timeout=seconds)
    except asyncio.TimeoutError:
        return
