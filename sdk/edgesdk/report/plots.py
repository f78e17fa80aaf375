"""The plots of the reports, drawn by matplotlib as SVG text.

Fonts are kept as text, and the output depends on nothing but the figures: the same report made twice is the same file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgesdk_targets.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES = (8.0, 4.0)
_LONGEST = 40
_LONGEST_OF_POINT = 60
_LEGEND_COLUMNS = 2
# How far above a point its name may stand, in points of type; where the first is free, it is taken.
_RISES = (0, 12, -12, 24, -24, 36, -36, 48, -48, 60, -60)
# Colours that people who see few colours can tell apart (Okabe and Ito, 2008).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def draw(paint: Callable[[Axes], None], *, inches: tuple[float, float] = _INCHES) -> str:
    """Return the SVG of a plot that `paint` draws on empty axes.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise MissingExtra("matplotlib", "report") from error
    with mpl.rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "edgesdk", "axes.grid": True, "text.parse_math": False}
    ):
        figure = Figure(figsize=inches, layout="constrained")
        paint(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def bars(labels: Sequence[str], series: dict[str, Sequence[float]], *, unit: str, most: float | None = None) -> str:
    """Return horizontal bars: one group for each label, one bar in it for each series.

    Args:
        unit: what the bars measure.
        most: where the axis ends; None for a little beyond the longest bar.
    """

    def paint(axes: Axes) -> None:
        thickness = 0.8 / max(1, len(series))
        for place, (name, values) in enumerate(series.items()):
            at = [row + place * thickness for row in range(len(labels))]
            axes.barh(at, values, thickness, label=name, color=COLOURS[place % len(COLOURS)])
        axes.set_yticks([row + 0.4 - thickness / 2 for row in range(len(labels))], [_short(label) for label in labels])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        if most is not None:
            axes.set_xlim(0, most)
        if len(series) > 1:
            axes.figure.legend(loc="outside upper center", ncols=min(len(series), _LEGEND_COLUMNS))

    return draw(paint, inches=(_INCHES[0], max(2.2, 1.2 + 0.3 * len(labels) * max(1, len(series) // 2))))


def _short(label: str, longest: int = _LONGEST) -> str:
    """Return a label that leaves room for the plot."""
    return label if len(label) <= longest else label[: longest - 1] + "…"


def histograms(series: dict[str, Sequence[float]], *, unit: str, bins: int = 40) -> str:
    """Return histograms over each other, on shared bins."""

    def paint(axes: Axes) -> None:
        pooled = [value for values in series.values() for value in values] or [0.0]
        low, high = min(pooled), max(pooled)
        edges = [low + (high - low or 1.0) * i / bins for i in range(bins + 1)]
        for place, (name, values) in enumerate(series.items()):
            axes.hist(values, edges, label=name, histtype="step", linewidth=2, color=COLOURS[place % len(COLOURS)])
        axes.set_xlabel(unit)
        axes.set_ylabel("count")
        axes.legend()

    return draw(paint)


def scatter(
    points: Sequence[tuple[float, float, str]],
    *,
    across: str,
    up: str,
    front: Sequence[int] = (),
    most: float | None = None,
) -> str:
    """Return named points; those whose places are in `front` are joined by a line, in that order.

    Args:
        most: where the axis `up` ends at the latest, such as 1 for a share.
    """

    def paint(axes: Axes) -> None:
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], color=COLOURS[0], zorder=3, clip_on=False)
        if front:
            axes.plot([points[i][0] for i in front], [points[i][1] for i in front], color=COLOURS[1], linestyle="--")
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        axes.margins(0.15)
        if most is not None:
            bottom, top = axes.get_ylim()
            axes.set_ylim(bottom, min(top, max(most, *(y for _, y, _ in points))))
        _name_points(axes, points)

    return draw(paint, inches=(_INCHES[0], max(_INCHES[1], 2.0 + 0.3 * len(points))))


def _name_points(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write each point's name beside it: on the plot, and over no other name or point as far as there is room."""
    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101  (axes that are drawn on belong to one)
    figure.draw_without_rendering()
    frame = axes.get_window_extent()
    dots = axes.transData.transform([(x, y) for x, y, _ in points])
    taken: list[tuple[float, ...]] = [(x - 5, y - 5, x + 5, y + 5) for x, y in dots]
    for x, y, name in points:
        label = axes.annotate(_short(name, _LONGEST_OF_POINT), (x, y), (0, 0), textcoords="offset points", fontsize=9)
        label.set(clip_on=False, in_layout=False, annotation_clip=False)
        tried: list[tuple[float, int, int, bool, int, tuple[float, ...]]] = []
        for right in (True, False):
            for rise in _RISES:
                label.set(position=(8 if right else -8, rise), ha="left" if right else "right", va="center")
                box = label.get_window_extent().extents
                covered = sum(_shared(box, other) for other in taken)
                outside = box[2] - box[0] - max(0.0, min(box[2], frame.x1) - max(box[0], frame.x0))
                outside += max(0.0, box[3] - frame.y1) + max(0.0, frame.y0 - box[1])
                tried.append((covered + outside * 10, abs(rise), len(tried), right, rise, tuple(box)))
        *_, right, rise, chosen = min(tried)
        label.set(position=(8 if right else -8, rise), ha="left" if right else "right")
        taken.append(chosen)


def _shared(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the area that two boxes (left, bottom, right, top) share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    return max(0.0, width) * max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
