"""The HTML page of a timeline: where the time went, how busy the threads were, and a few frames drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgesdk.report.page import Page
from edgesdk.report.plots import COLOURS, draw
from edgesdk.timeline.frame_times import busy, parts
from edgesdk_agent.timeline.timeline import Span

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# So many frames are drawn: enough to see the rhythm, few enough to see each.
_FRAMES_DRAWN = 16
# A bar carries its frame's number where it is at least this share of the drawing wide.
_LABELLED_FROM = 0.03
_THREAD_PREFIX = "edgesdk-"


def timeline_page(spans: Sequence[Span], *, title: str, lost: int = 0) -> Page:
    """Return the finished page.

    Args:
        spans: what was recorded.
        title: what ran.
        lost: spans that were recorded and are not kept.
    """
    way, threads = parts(spans), busy(spans)
    seconds = max((s.end_s for s in spans), default=0.0) - min((s.start_s for s in spans), default=0.0)
    page = Page(f"Timeline of {title}", f"{len(spans)} spans in {seconds:.1f} s.")
    if lost:
        page.text(f"{lost} older spans are not shown: only the newest are kept.")
    if not way:
        return page.text("No frame came through, from capture to delivery.")
    longest = max(way, key=lambda part: part.share)
    page.heading("Where a frame's time goes")
    page.text(f"The most, {longest.share:.0%}, is: {longest.name}.")
    page.table(
        ("part", "p50 ms", "p95 ms", "share of the whole"),
        [(part.name, f"{part.p50_ms:.3f}", f"{part.p95_ms:.3f}", f"{part.share:.1%}") for part in way],
        "From the moment a picture is there until its result is delivered.",
    )
    page.heading("How busy the threads are")
    page.table(
        ("thread", "stage", "spans", "busy"),
        [(_short(one.thread), one.stage, str(one.spans), f"{one.share:.1%}") for one in threads],
        "Capturing includes waiting for the camera, and delivering what runs on the pipeline's own thread.",
    )
    page.heading("A few frames")
    page.figure(
        drawing(middle(spans)),
        f"Up to {_FRAMES_DRAWN} frames from the middle; one row a thread and stage, one colour and number a frame.",
    )
    return page


def middle(spans: Sequence[Span], frames: int = _FRAMES_DRAWN) -> list[Span]:
    """Return the spans of some frames in a row that were delivered, from the middle of the recording."""
    delivered = [(span.camera, span.seq) for span in spans if span.stage == "deliver"]
    first = max(0, (len(delivered) - frames) // 2)
    wanted = set(delivered[first : first + frames])
    return [span for span in spans if (span.camera, span.seq) in wanted]


def drawing(spans: Sequence[Span]) -> str:
    """Return the SVG of spans as bars over time."""
    rows = list(dict.fromkeys(f"{span.stage}\n{_short(span.thread)}" for span in spans))
    origin = min(span.start_s for span in spans)
    across_ms = (max(span.end_s for span in spans) - origin) * 1e3
    several = len({span.camera for span in spans}) > 1
    frames = {frame: place for place, frame in enumerate(dict.fromkeys((span.camera, span.seq) for span in spans))}

    def paint(axes: Axes) -> None:
        for span in spans:
            row = rows.index(f"{span.stage}\n{_short(span.thread)}")
            start_ms, width_ms = (span.start_s - origin) * 1e3, (span.end_s - span.start_s) * 1e3
            colour = COLOURS[frames[span.camera, span.seq] % len(COLOURS)]
            axes.broken_barh([(start_ms, width_ms)], (row - 0.4, 0.8), facecolors=colour, edgecolor="white")
            if width_ms >= _LABELLED_FROM * across_ms:
                label = f"{span.camera} {span.seq}" if several else str(span.seq)
                axes.text(
                    start_ms + width_ms / 2, row, label, ha="center", va="center", size=7, color="white", clip_on=True
                )
        axes.set_yticks(range(len(rows)), rows)
        axes.invert_yaxis()
        axes.set_xlabel("ms")

    return draw(paint, inches=(11.0, 1.2 + 0.55 * len(rows)))


def _short(thread: str) -> str:
    return thread.removeprefix(_THREAD_PREFIX)
