"""When a cascade's first model is in doubt: what each threshold would cost and give, and which one to take (pure).

Both models have answered all calibration pictures. A picture whose first answer has a probability below the threshold gets the
second model's answer; its cost is then that of both. The threshold that is chosen on pictures looks better on them than on
others, so what it gives is measured again on parts that it was not chosen on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

# Of so many parts, each is measured with the threshold that the others choose.
_PARTS = 5
_SEED = 20261123


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What two models said to the same pictures.

    Attributes:
        confidence: (n,) the first model's highest probability.
        first, second: (n,) bool, which of their answers are right.
        units: (n,) which pictures belong together and count as one.
        ms: mean time of one inference, of each.
        prepare_ms: what every picture takes beside, in doubt or not: where the second model sees a picture of its own.
    """

    confidence: Array
    first: Array
    second: Array
    units: Array
    ms: tuple[float, float]
    prepare_ms: float = 0.0

    def only(self, places: Array) -> Answered:
        """Return what was said to some of the pictures."""
        units = np.unique(self.units[places], return_inverse=True)[1]
        confidence, first, second = (one[places] for one in (self.confidence, self.first, self.second))
        return Answered(confidence, first, second, units, self.ms, self.prepare_ms)

    def mean_ms(self, share: float) -> float:
        """Return the mean time of a picture where the second model is asked about this share of them."""
        return self.ms[0] + self.prepare_ms + share * self.ms[1]

    @property
    def weights(self) -> Array:
        """Return how much each picture counts, (n,), 1 in sum: a unit's pictures together as much as another's."""
        counts = np.bincount(self.units)
        return 1.0 / (len(counts) * counts[self.units])


@dataclass(frozen=True, slots=True)
class Point:
    """What one threshold costs and gives.

    Attributes:
        share: of the pictures that the second model is asked about.
        ms: mean time of a picture.
    """

    threshold: float
    share: float
    accuracy: float
    ms: float

    def to_json(self) -> dict[str, float]:
        return {
            "threshold": round(self.threshold, 6),
            "share": round(self.share, 6),
            "accuracy": round(self.accuracy, 6),
            "ms": float(f"{self.ms:.4g}"),
        }


@dataclass(frozen=True, slots=True)
class Budget:
    """What the cascade may cost, or has to give; at most one of them, and without any what loses little.

    Attributes:
        ms: mean time of a picture, at most.
        share: of the pictures that the second model is asked about, at most.
        accuracy: at least.
        drop: what may be lost against the second model alone.
    """

    ms: float | None = None
    share: float | None = None
    accuracy: float | None = None
    drop: float = 0.01


def curve(answered: Answered) -> list[Point]:
    """Return a point for each threshold that divides the pictures otherwise, cheapest first.

    At the first the second model is never asked, at the last always.
    """
    order = np.argsort(answered.confidence, kind="stable")
    sorted_by = answered.confidence[order]
    weights = answered.weights[order]
    first, second = (answered_by[order] * weights for answered_by in (answered.first, answered.second))
    # With the k least sure pictures passed on, they have the second's answers, and the others the first's.
    passed = np.concatenate([[0.0], np.cumsum(second)])
    kept = first.sum() - np.concatenate([[0.0], np.cumsum(first)])
    accuracy = passed + kept
    ends = np.flatnonzero(np.diff(sorted_by) > 0) + 1
    counts = np.concatenate([[0], ends, [len(order)]])
    thresholds = np.concatenate([[0.0], (sorted_by[ends - 1] + sorted_by[ends]) / 2, [1.0]])
    shares = counts / len(order)
    return [
        Point(float(t), float(s), float(accuracy[k]), answered.mean_ms(float(s)))
        for t, s, k in zip(thresholds, shares, counts, strict=True)
    ]


def choose(points: Sequence[Point], budget: Budget) -> Point:
    """Return the point that keeps within the budget and gives most, or gives enough and costs least.

    Args:
        points: of `curve`.

    Raises:
        InputError: no threshold does; how near the nearest comes.
    """
    if budget.ms is not None or budget.share is not None:
        most = budget.ms if budget.ms is not None else float("inf")
        share = budget.share if budget.share is not None else 1.0
        within = [point for point in points if point.ms <= most and point.share <= share]
        if not within:
            raise InputError(
                f"A cascade takes {points[0].ms:.3g} ms even where the second model is never asked; {most:g} are allowed.",
                hint="Allow more with --max-ms, or take a smaller first model.",
            )
        return max(within, key=lambda point: (point.accuracy, -point.ms))
    wanted = budget.accuracy if budget.accuracy is not None else points[-1].accuracy - budget.drop
    good = [point for point in points if point.accuracy >= wanted - 1e-12]
    if not good:
        best = max(points, key=lambda point: (point.accuracy, -point.ms))
        raise InputError(
            f"No threshold reaches {wanted:g}: the best gives {best.accuracy:.4f}, asking the second model about "
            f"{best.share:.0%} of the pictures; alone it gives {points[-1].accuracy:.4f}, and the first {points[0].accuracy:.4f}.",
            hint="Ask for less with --min-metric, or take a better second model.",
        )
    return min(good, key=lambda point: (point.ms, -point.accuracy))


def held_out(answered: Answered, budget: Budget) -> Point | None:
    """Return what the choice gives on pictures that it was not made on; None where there are too few.

    Its threshold is the mean of those that the parts chose. Of parts whose others cannot keep the budget nothing is known.
    """
    count = int(answered.units.max()) + 1
    if count < 2 * _PARTS:
        return None
    part_of_unit = np.random.default_rng(_SEED).permutation(count) % _PARTS
    part = part_of_unit[answered.units]
    chosen, found = [], []
    for number in range(_PARTS):
        try:
            point = choose(curve(answered.only(np.flatnonzero(part != number))), budget)
        except InputError:
            return None
        chosen.append(point.threshold)
        found.append(at(answered.only(np.flatnonzero(part == number)), point.threshold))
    pictures, units = np.bincount(part, minlength=_PARTS), np.bincount(part_of_unit, minlength=_PARTS)
    share, ms = (float(np.average([getattr(one, name) for one in found], weights=pictures)) for name in ("share", "ms"))
    accuracy = float(np.average([one.accuracy for one in found], weights=units))
    return Point(float(np.mean(chosen)), share, accuracy, ms)


def at(answered: Answered, threshold: float) -> Point:
    """Return what one threshold costs and gives."""
    asked = answered.confidence < threshold
    right = np.where(asked, answered.second, answered.first)
    share = float(asked.mean())
    return Point(threshold, share, float((right * answered.weights).sum()), answered.mean_ms(share))


@dataclass(frozen=True, slots=True)
class AtBudget:
    """What is had for a mean time of a picture.

    Attributes:
        cascade: accuracy on pictures that did not choose the threshold; None where there are too few.
        single: the best accuracy of a member alone that costs at most so much.
        member: which member that is.
    """

    ms: float
    cascade: float | None
    single: float
    member: str

    @property
    def gained(self) -> float | None:
        return None if self.cascade is None else self.cascade - self.single

    def to_json(self) -> dict[str, object]:
        return {
            "ms": float(f"{self.ms:.4g}"),
            "cascade": None if self.cascade is None else round(self.cascade, 6),
            "single": round(self.single, 6),
            "member": self.member,
        }


def at_budgets(answered: Answered, count: int = 8) -> list[AtBudget]:
    """Compare the cascade with its members at budgets from where the second is never asked to where it always is.

    The cascade's threshold is chosen for each budget on other pictures than it is measured on: the best of many thresholds on the
    very pictures would beat a member by luck alone. A member has nothing to choose, and is measured on all.
    """
    _, other = answered.ms
    first, second = at(answered, 0.0).accuracy, float((answered.second * answered.weights).sum())
    found = []
    for budget in np.linspace(answered.mean_ms(0.0), answered.mean_ms(1.0), count):
        affordable = [(first, "first")] + ([(second, "second")] if other <= budget + 1e-12 else [])
        single, member = max(affordable)
        kept = held_out(answered, Budget(ms=float(budget)))
        found.append(AtBudget(float(budget), kept.accuracy if kept else None, single, member))
    return found
