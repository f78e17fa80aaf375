"""The figures that are kept of a device over time: what each is called, in what unit, and what a roll-up keeps of it.

Tables hold them as whole numbers (`value * scale`, rounded), which take two or three bytes in SQLite where a float takes
eight: ninety days of minutes are forty million rows for three hundred devices. Nobody but the store sees them so:
`series` gives floats in the figure's unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: of the column in `samples`, and in the API.
        unit: in words.
        scale: what the value is multiplied by before it is rounded.
        keeps: what a roll-up keeps beside count and sum: `min`, `max`.
        counter: it counts since the agent's start. A roll-up keeps the highest, and whoever reads a series takes how
            much that grew from one to the next: so a sample that is lost, or late, loses and doubles nothing.
        adds: of a fleet its sum over devices is what people ask for, not its mean.
    """

    name: str
    unit: str
    scale: float = 1.0
    keeps: tuple[str, ...] = ()
    counter: bool = False
    adds: bool = False

    @property
    def rolled(self) -> tuple[str, ...]:
        """Return the names of its columns in a roll-up."""
        parts = ("max",) if self.counter else ("n", "sum", *self.keeps)
        return tuple(f"{self.name}_{part}" for part in parts)


FIGURES = (
    Figure("fps", "frames/s", 100, ("min", "max"), adds=True),
    Figure("age_p50_ms", "ms", 10),
    Figure("age_p95_ms", "ms", 10, ("max",)),
    Figure("age_p99_ms", "ms", 10, ("max",)),
    Figure("cpu_percent", "% of one core", 10, ("max",)),
    Figure("memory_bytes", "bytes", 1 / 1024, ("max",)),
    Figure("temperature_c", "°C", 10, ("max",)),
    Figure("disk_free_bytes", "bytes", 1 / 1048576, ("min",)),
    Figure("queued", "reports", 1, ("max",), adds=True),
    Figure("clock_offset_ms", "ms", 1, ("min", "max")),
    Figure("captured", "frames", counter=True),
    Figure("processed", "frames", counter=True),
    Figure("dropped", "frames", counter=True),
    Figure("lost", "reports", counter=True),
)

# The largest number that is kept; whatever a device says, it fits into the column.
_LIMIT = 1 << 62
_SCALES = tuple(figure.scale for figure in FIGURES)


def scaled_row(values: Sequence[float | None]) -> tuple[int | None, ...]:
    """Return values, in the order of `FIGURES`, as they are stored; None for what is no number."""
    row: list[int | None] = []
    for value, scale in zip(values, _SCALES, strict=True):
        if value is None:
            row.append(None)
            continue
        product = value if scale == 1 else value * scale
        if -_LIMIT < product < _LIMIT:
            row.append(round(product))
        else:
            # Not a number compares with nothing.
            row.append(None if math.isnan(product) else int(math.copysign(_LIMIT, product)))
    return tuple(row)


def plain(figure: Figure, stored: float | None) -> float | None:
    """Return what is stored as a value in the figure's unit."""
    return None if stored is None else stored / figure.scale


BY_NAME = {figure.name: figure for figure in FIGURES}


def sample_columns() -> list[Column[int]]:
    """Return the columns of all figures in one sample; null where the device did not say."""
    return [Column(figure.name, BigInteger) for figure in FIGURES]


def rolled_columns() -> list[Column[int]]:
    """Return the columns of all figures in a roll-up."""
    return [Column(name, BigInteger) for figure in FIGURES for name in figure.rolled]
