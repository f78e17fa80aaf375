"""The HTML report of `edgesdk compare`: the tables, the plot with Pareto's front, and the choice with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk.benchmark.contest import Entry, front, timed_alike
from edgesdk.benchmark.contest_choice import Pick
from edgesdk.benchmark.host import HostFacts
from edgesdk.report.page import Page
from edgesdk.report.plots import scatter

_COLUMNS = (
    "artifact",
    "precision",
    "size",
    "metric (95 % interval)",
    "worst parity",
    "p50 ms",
    "per second",
    "memory",
    "limits",
    "front",
    "status",
)


@dataclass(frozen=True, slots=True)
class FurtherTable:
    """A table of plain cells with its heading; the first column names the row.

    Attributes:
        about: what the cells are.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    about: str


def entries_table(entries: Sequence[Entry]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the columns and rows of a table of entries; where some were timed on a device, the last column says where."""
    on_front = set(front(entries))
    rows = [_cells(entry, entry.name in on_front) for entry in entries]
    if not any(entry.device for entry in entries):
        return _COLUMNS, rows
    places = ["" if entry.ms is None else entry.device or "this host" for entry in entries]
    return (*_COLUMNS, "timed on"), [(*row, place) for row, place in zip(rows, places, strict=True)]


def _cells(entry: Entry, on_front: bool) -> tuple[str, ...]:
    return (
        entry.name,
        entry.precision,
        f"{entry.size_bytes / 1e6:.3g} MB",
        entry.figure.text() if entry.figure else "",
        "" if entry.worst_db is None else f"{entry.worst_db:.0f} dB",
        "" if entry.ms is None else f"{entry.ms:.3g}",
        "" if entry.fps is None else f"{entry.fps:.{0 if entry.fps >= 100 else 1}f}",
        "" if entry.rss_bytes is None else f"{entry.rss_bytes / 1e6:.0f} MB",
        "" if entry.ms is None else "no" if entry.misses else "yes",
        "*" if on_front else "",
        "slower than float" if entry.slower_than else entry.status,
    )


def comparison_page(
    entries: Sequence[Entry],
    choice: Pick,
    host: HostFacts,
    threads: int,
    further: Sequence[FurtherTable] = (),
    devices: Sequence[str] = (),
) -> Page:
    """Return the finished page.

    Args:
        further: what else was measured of the entries.
        devices: lines that say what was timed elsewhere, and how.
    """
    best = f"Take {choice.name}: {choice.why}." if choice.name else choice.why
    page = Page("Models compared", best)
    page.heading("The models")
    page.table(*entries_table(entries), "* on Pareto's front: no other is at once as fast, as small and as good.")
    if timed := timed_alike(entries):
        page.heading("Speed and what it costs")
        page.figure(*_plot(timed))
    for one in further:
        page.heading(one.title)
        page.table(one.columns, one.rows, one.about)
    if choice.passed_over:
        page.heading("Why not the others")
        for line in choice.passed_over:
            page.text(line)
    page.heading("How it was measured")
    page.text(
        f"{host.in_words}. All artifacts were loaded at once, each in a process of its own, "
        f"and took turns; a time is the median over the rounds, {threads or host.cores} threads."
    )
    for line in devices:
        page.text(f"Not so {line}.")
    for line in host.warnings:
        page.text(f"Beware: {line}.")
    return page


def _plot(timed: Sequence[Entry]) -> tuple[str, str]:
    """Draw time against the metric, or against the size where no metric was measured."""
    measured = [entry for entry in timed if entry.figure is not None]
    if measured and measured[0].figure is not None:
        first = measured[0].figure
        points = [(e.ms or 0.0, e.figure.value, e.name) for e in measured if e.figure is not None]
        sign, up = (-1.0 if first.higher_is_better else 1.0), first.name
        most = 1.0 if first.higher_is_better else None
    else:
        points = [(e.ms or 0.0, e.size_bytes / 1e6, e.name) for e in timed]
        sign, up, most = 1.0, "size, MB", None
    line = _line([(x, sign * y) for x, y, _ in points])
    said = (
        "the line joins those that no other beats in both"
        if len(line) > 1
        else f"{points[line[0]][2]} beats all others in both, or is as good"
        if len(points) > 1
        else "there is one artifact only"
    )
    return (
        scatter(points, across="ms for one inference", up=up, front=line, most=most),
        f"Time of one inference against {up}; {said}.",
    )


def _line(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the places of the points that no other beats in both, from left to right; less is better."""
    order = sorted(range(len(points)), key=lambda i: points[i])
    line: list[int] = []
    for place in order:
        if not line or points[place][1] < points[line[-1]][1]:
            line.append(place)
    return line
