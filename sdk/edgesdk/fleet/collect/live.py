"""What a collector is doing, on a terminal: one line a device, the busiest first, and how the whole goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edgesdk.fleet.collect.collector import Collector
from edgesdk.fleet.collect.figures import NodeFigures
from edgesdk.fleet.result_text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN_NODES = 20


class LiveTable:
    """Draws a collector; `draw` twice a second, so that the rate is that of the time between.

    Args:
        collector: what is drawn.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._before = (time.monotonic(), 0)
        self._rate = 0.0

    def draw(self) -> RenderableType:
        """Return the table and a line below it."""
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        nodes = sorted(self._collector.figures.nodes.items(), key=lambda item: -item[1].heard_at)
        made = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False)
        for column in ("device", "stored", "up to", "missing", "heard"):
            made.add_column(column, justify="left" if column == "device" else "right", no_wrap=True)
        for name, node in nodes[:_SHOWN_NODES]:
            made.add_row(*(Text(*cell) for cell in _cells(name, node, now)))
        lines: list[RenderableType] = [made] if nodes else [Text("No device has reported anything yet.", style="dim")]
        if len(nodes) > _SHOWN_NODES:
            lines.append(Text(f"and {len(nodes) - _SHOWN_NODES} more", style="dim"))
        problem = self._collector.problem
        lines.append(Text(self._footer(now), style="dim"))
        if problem:
            lines.append(Text(problem, style="red"))
        return Group(*lines)

    def _footer(self, now: float) -> str:
        told = self._collector.figures
        then, stored = self._before
        if now > then:
            self._rate = (told.stored - stored) / (now - then)
        self._before = (now, told.stored)
        parts = [f"{told.stored} stored ({self._rate:.0f}/s)", f"{told.duplicates} came twice"]
        if told.lost:
            parts.append(f"{told.lost} declared lost")
        if told.refused:
            parts.append(f"{told.refused} in quarantine")
        if told.unread:
            parts.append(f"{told.unread} too fast to read")
        return "   ".join(parts)


def _cells(name: str, node: NodeFigures, now: float) -> list[tuple[str, str]]:
    return [
        (printable(name, 40), "bold"),
        (str(node.stored), ""),
        (str(node.upto), ""),
        (str(node.missing), "yellow" if node.missing else ""),
        (f"{now - node.heard_at:.0f} s", ""),
    ]
