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
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "edgesdk", "axes.grid": True}):
        figure = Figure(figsize=inches, layout="constrained")
        paint(figure.add_subplot())
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def bars(labels: Sequence[str], series: dict[str, Sequence[float]], *, unit: str) -> str:
    """Return horizontal bars: one group for each label, one bar in it for each series."""

    def paint(axes: Axes) -> None:
        thickness = 0.8 / max(1, len(series))
        for place, (name, values) in enumerate(series.items()):
            at = [row + place * thickness for row in range(len(labels))]
            axes.barh(at, values, thickness, label=name, color=COLOURS[place % len(COLOURS)])
        axes.set_yticks([row + 0.4 - thickness / 2 for row in range(len(labels))], [_short(label) for label in labels])
        axes.invert_yaxis()
        axes.set_xlabel(unit)
        if len(series) > 1:
            # Room beside the bars, which the legend would cover otherwise.
            axes.set_xlim(right=axes.get_xlim()[1] * 1.35)
            axes.legend(loc="upper right")

    return draw(paint, inches=(_INCHES[0], max(2.0, 0.8 + 0.3 * len(labels) * max(1, len(series) // 2))))


def _short(label: str) -> str:
    """Return a label that leaves room for the plot."""
    return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"


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


def scatter(points: Sequence[tuple[float, float, str]], *, across: str, up: str, front: Sequence[int] = ()) -> str:
    """Return named points; those whose places are in `front` are joined by a line, in that order."""

    def paint(axes: Axes) -> None:
        axes.scatter([x for x, _, _ in points], [y for _, y, _ in points], color=COLOURS[0], zorder=3)
        for x, y, name in points:
            axes.annotate(name, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=9)
        if front:
            axes.plot([points[i][0] for i in front], [points[i][1] for i in front], color=COLOURS[1], linestyle="--")
        axes.set_xlabel(across)
        axes.set_ylabel(up)

    return draw(paint)
