"""Lines through points, with bands for intervals, and a matrix of counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgesdk.report.plots import COLOURS, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lines are told apart by more than their colour.
_DASHES = ("-", "--", "-.", ":")
_SQUARE = (6.0, 5.4)
_WIDE = (8.0, 4.0)
# In cells of more classes a number cannot be read.
_NUMBERED = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a plot.

    Attributes:
        name: in the legend.
        across, up: its points.
        low, high: ends of the points' intervals; empty for none.
    """

    name: str
    across: Sequence[float]
    up: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def curves(
    lines: Sequence[Line],
    *,
    across: str,
    up: str,
    ticks: Sequence[str] = (),
    diagonal: bool = False,
    most: float | None = None,
) -> str:
    """Return lines in one plot.

    Args:
        ticks: names of the places 0, 1, 2 … on the axis `across`; none for plain numbers.
        diagonal: draw the line on which both axes are alike, on a square plot from 0 to 1.
        most: where the axis `up` ends, from 0; None for what the points need.
    """

    def paint(axes: Axes) -> None:
        if diagonal:
            axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle=":")
            axes.set_xlim(0, 1)
        for place, line in enumerate(lines):
            colour, dash = COLOURS[place % len(COLOURS)], _DASHES[place // len(COLOURS) % len(_DASHES)]
            marker = "o" if ticks or len(line.up) < 20 else ""
            axes.plot(line.across, line.up, dash, color=colour, label=line.name, marker=marker, clip_on=False)
            if line.low:
                axes.fill_between(line.across, line.low, line.high, color=colour, alpha=0.18, linewidth=0)
        if ticks:
            axes.set_xticks(range(len(ticks)), ticks)
        if most is not None:
            axes.set_ylim(0, most)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        if len(lines) > 1:
            axes.legend(fontsize=9)

    return draw(paint, inches=_SQUARE if diagonal else _WIDE)


def matrix(labels: Sequence[str], counts: Sequence[Sequence[int]], *, across: str, up: str) -> str:
    """Return a matrix of counts, each cell shaded by its part of its row; the number is written where it can be read."""

    def paint(axes: Axes) -> None:
        shares = [[count / max(1, sum(row)) for count in row] for row in counts]
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(range(len(labels)), labels, rotation=90 if max(map(len, labels)) > 3 else 0)
        axes.set_yticks(range(len(labels)), labels)
        axes.set_xlabel(across)
        axes.set_ylabel(up)
        if len(labels) <= _NUMBERED:
            for i, row in enumerate(counts):
                for j, count in enumerate(row):
                    if count:
                        colour = "white" if shares[i][j] > 0.5 else "black"
                        axes.text(j, i, str(count), ha="center", va="center", fontsize=8, color=colour)

    side = max(4.0, min(12.0, 2.0 + 0.4 * len(labels)))
    return draw(paint, inches=(side, side))
