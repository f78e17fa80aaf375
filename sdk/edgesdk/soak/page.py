"""The report of a soak: the verdict, what was broken when, and the plots that show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgesdk.report.page import Page
from edgesdk.report.plots import COLOURS, draw
from edgesdk.soak.line import Line
from edgesdk.soak.series import Recording, SoakSample
from edgesdk.soak.verdict import passed

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def soak_page(recording: Recording, lines: Sequence[Line]) -> Page:
    """Return the page."""
    minutes = recording.samples[-1].at_s / 60 if recording.samples else 0.0
    word = "passed" if passed(lines) else "failed"
    page = Page(
        f"Soak: {word}", f"{minutes:.1f} minutes, {len(recording.injected)} faults, {len(recording.cameras)} cameras."
    )
    page.heading("Verdict")
    page.table(
        ("check", "outcome", "seen", "allowed"), [(one.check, one.outcome, one.figure, one.bound) for one in lines]
    )
    if recording.injected:
        page.heading("What was broken")
        rows = [
            (
                one.name,
                f"{one.began_s:.0f} s",
                f"{one.ended_s - one.began_s:.0f} s",
                "never" if one.recovered_s is None else f"{one.recovered_s:.1f} s",
                one.note,
            )
            for one in recording.injected
        ]
        page.table(("fault", "at", "for", "recovered after", "note"), rows)
    if recording.left_out:
        page.heading("Left out on this machine")
        page.table(("fault", "why"), sorted(recording.left_out.items()))
    page.heading("Over time")
    page.text("Grey: while something was broken. A line that breaks off: the agent was started again.")
    for name, unit, value in _PLOTS:
        page.figure(_plot(recording, unit, value), f"{name} of the agent, once a second.")
    return page


_PLOTS: tuple[tuple[str, str, Callable[[SoakSample], float | None]], ...] = (
    ("Memory", "MB", lambda sample: sample.rss_bytes / 1e6 if sample.pid else None),
    ("Age of results (p95)", "ms", lambda sample: sample.age_p95_ms),
    ("File descriptors", "open", lambda sample: sample.fds or None),
    ("Threads", "threads", lambda sample: sample.threads or None),
)


def _plot(recording: Recording, unit: str, value: Callable[[SoakSample], float | None]) -> str:
    def paint(axes: Axes) -> None:
        for one in recording.injected:
            axes.axvspan(one.began_s / 60, max(one.ended_s, one.began_s + 1) / 60, color="0.5", alpha=0.25, linewidth=0)
        for life in recording.lives():
            points = [(sample.at_s / 60, found) for sample in life if (found := value(sample)) is not None]
            axes.plot([x for x, _ in points], [y for _, y in points], color=COLOURS[0])
        axes.set_xlabel("minutes")
        axes.set_ylabel(unit)
        axes.set_ylim(bottom=0)

    return draw(paint, inches=(8.0, 2.4))
