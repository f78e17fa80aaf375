"""Which of several models differ by more than chance, when all were asked about the same pictures.

Each pair is compared picture by picture, which tells apart what two intervals beside each other cannot: most pictures are easy
or hard for both. With many pairs some differ by chance alone, so the chances are corrected for their number by Holm's steps
(Holm 1979, Scandinavian Journal of Statistics 6, 65): that one of all pairs is called different without being so happens in at
most 5 of a hundred comparisons, however the pairs depend on each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.compare import compare_labelled
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.drop import Drop
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.limits import MAX_DROP, Limits
from edgesdk.evaluate.paired_proportions import ALPHA


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much `first` is better than `second`.

    Attributes:
        value: in the figure's own unit; negative where it is worse.
        low, high: ends of the interval, each one-sided with 95 %.
        n: independent samples.
        p: chance of such a difference if there were none, at most.
        p_adjusted: the same, corrected for the number of pairs.
    """

    first: str
    second: str
    figure: str
    value: float
    low: float
    high: float
    n: int
    p: float
    p_adjusted: float

    @property
    def significant(self) -> bool:
        return self.p_adjusted < ALPHA

    @property
    def better(self) -> str | None:
        """The name of the one that is known to be better; None where that is not known."""
        if not self.significant:
            return None
        return self.first if self.value > 0 else self.second

    def to_json(self) -> dict[str, object]:
        ends = {name: round(float(getattr(self, name)), 6) for name in ("value", "low", "high")}
        chances = {name: float(f"{getattr(self, name):.4g}") for name in ("p", "p_adjusted")}
        names = {"first": self.first, "second": self.second, "figure": self.figure}
        return {**names, **ends, "n": self.n, **chances, "better": self.better}


def paired_differences(dataset: Dataset, answers: Mapping[str, Answers], figure: str) -> tuple[Difference, ...]:
    """Compare each two of several models.

    Args:
        answers: by the models' names, to all pictures of the dataset; at least one.
        figure: by which they are compared; where the task's paired comparison has none of this name, its main one.

    Raises:
        InputError: the dataset holds nothing that could be compared.
    """
    first = next(iter(answers.values()))
    units = units_of(first.paths, first.thumbnails, dataset.groups)
    pairs = list(combinations(answers, 2))
    drops = []
    for one, other in pairs:
        found = compare_labelled(dataset, answers[one], answers[other], units, Limits(MAX_DROP))
        drops.append(_named(figure, (found.drop, *found.further)))
    adjusted = holm([drop.p for drop in drops])
    return tuple(
        Difference(one, other, drop.figure, drop.value, drop.low, drop.high, drop.n, drop.p, corrected)
        for (one, other), drop, corrected in zip(pairs, drops, adjusted, strict=True)
    )


def holm(chances: Sequence[float]) -> list[float]:
    """Correct the chances of several questions for their number: the least times all, the next times one fewer, …"""
    order = sorted(range(len(chances)), key=chances.__getitem__)
    corrected = [0.0] * len(chances)
    reached = 0.0
    for step, place in enumerate(order):
        reached = max(reached, min(1.0, (len(chances) - step) * chances[place]))
        corrected[place] = reached
    return corrected


def _named(figure: str, drops: Sequence[Drop]) -> Drop:
    return next((drop for drop in drops if drop.figure == figure), drops[0])
