"""What a trial came to: figures, costs, the limits that it misses, and how it ended (pure)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from edgesdk.search.parameter import Scalar
from edgesdk.search.space import COSTS, Limits, is_lower_better
from edgesdk.size_in_digits import size_in_digits

Ending = Literal["finished", "dropped", "failed"]


@dataclass(frozen=True, slots=True)
class Miss:
    """A limit that is not kept.

    Attributes:
        times: how many times as much as is allowed, or as is reached.
        is_least: it has to be reached, and not kept below.
    """

    name: str
    value: float
    limit: float
    whose: str
    times: float
    is_least: bool

    def text(self) -> str:
        value, limit = (figure_text(self.name, one) for one in (self.value, self.limit))
        return f"{self.name} {value} {'<' if self.is_least else '>'} {limit} ({self.whose})"


@dataclass(frozen=True, slots=True)
class Trial:
    """One configuration that was tried.

    Attributes:
        figures: metrics and costs by name; of one that did not finish what is known.
        misses: the limits that it does not keep.
        why: of one that was dropped or failed.
        seconds: that it took.
        same_as: the number of an earlier trial of the same configuration, whose outcome this is.
    """

    number: int
    ending: Ending
    parameters: Mapping[str, Scalar]
    figures: Mapping[str, float] = field(default_factory=dict)
    misses: tuple[Miss, ...] = ()
    why: str = ""
    seconds: float = 0.0
    same_as: int | None = None
    is_baseline: bool = False

    @property
    def fits(self) -> bool:
        """Whether it finished within all limits."""
        return self.ending == "finished" and not self.misses

    @property
    def over(self) -> float:
        """How many times as much as the limit that it misses by most; 1 where it keeps all."""
        return max((miss.times for miss in self.misses), default=1.0)

    def to_json(self) -> dict[str, object]:
        return {
            "number": self.number,
            "ending": self.ending,
            "parameters": dict(self.parameters),
            "figures": {name: None if math.isnan(v) else float(f"{v:.6g}") for name, v in self.figures.items()},
            "misses": [miss.text() for miss in self.misses],
            "fits": self.fits,
            "why": self.why or None,
            "seconds": round(self.seconds, 2),
            "same_as": self.same_as,
            "baseline": self.is_baseline,
        }


def missed(figures: Mapping[str, float], limits: Mapping[str, tuple[float, str]]) -> tuple[Miss, ...]:
    """Return the limits that figures miss; one whose figure is not known is not judged.

    Args:
        limits: of `limits_of`.
    """
    return tuple(_missed(figures, limits))


def limits_of(limits: Limits, target: Mapping[str, float], target_name: str) -> dict[str, tuple[float, str]]:
    """Return every limit by its key, with who sets it; of two on the same figure the tighter one.

    Args:
        target: the target's own limits, by the costs' names.

    The key of what has to be reached is `name>=`, of what may not be exceeded `name<=`.
    """
    costs = [(f"{name}<=" if COSTS[name] else f"{name}>=", value) for name, value in limits.costs.items()]
    given = [
        *((f"{name}<=", value, target_name) for name, value in target.items()),
        *((key, value, "limits") for key, value in costs),
        *((f"{name}>=", value, "limits") for name, value in limits.least.items()),
        *((f"{name}<=", value, "limits") for name, value in limits.most.items()),
    ]
    found: dict[str, tuple[float, str]] = {}
    for key, value, whose in given:
        before = found.get(key, (value, whose))[0]
        if key not in found or (value > before if key.endswith(">=") else value < before):
            found[key] = (value, whose)
    return found


def unknown_limits(figures: Collection[str], limits: Limits) -> list[str]:
    """Return the limits' names that are no figure: nothing would ever be judged by them.

    Args:
        figures: the names of all figures of a trial that finished.
    """
    return sorted({*limits.least, *limits.most} - set(figures))


def _missed(figures: Mapping[str, float], limits: Mapping[str, tuple[float, str]]) -> Iterator[Miss]:
    for key, (limit, whose) in limits.items():
        name, least = key[:-2], key.endswith(">=")
        if name not in figures:
            continue
        value = figures[name]
        # What is not defined keeps no limit.
        if not (value >= limit if least else value <= limit):
            more, less = (limit, value) if least else (value, limit)
            times = more / less if less > 0 and math.isfinite(more) else math.inf
            yield Miss(name, value, limit, whose, times, least)


def objective_values(figures: Mapping[str, float], objectives: tuple[str, ...]) -> list[float]:
    """Return the objectives' values, in their order; NaN for one that is not known."""
    return [figures.get(name, math.nan) for name in objectives]


def loss_of(figures: Mapping[str, float], name: str) -> float:
    """Return a figure turned so that less is better; infinite where it is not known."""
    value = figures.get(name, math.nan)
    if math.isnan(value):
        return math.inf
    return value if is_lower_better(name) else -value


def figure_text(name: str, value: float) -> str:
    """Write a figure or a cost for a person."""
    return size_in_digits(value) if name in {"bytes", "rss_bytes"} else f"{value:.4g}"
