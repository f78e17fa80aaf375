"""Folds: how much a model's figures vary from one part of the data to another.

The pictures are divided as `edgesdk data split --folds` divides them: each class evenly, what belongs together in one fold. A
model that is trained already is measured on each fold; the mean says what it gives, the spread how far another set of this
size may lie from it. One that is trained anew for each fold (`training`) is measured alike. Data and evaluation do not
know each other; this joins them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from edgesdk.data.splitting import assign, folds
from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.paired_proportions import ALPHA
from edgesdk.evaluate.resampled_t import resampled_t
from edgesdk.evaluate.significance import holm
from edgesdk.figure_direction import counts_errors
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over folds.

    Attributes:
        values: of each fold on which it is defined.
    """

    mean: float
    sd: float
    values: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        values = [round(value, 6) for value in self.values]
        known = bool(values)
        return {
            "mean": round(self.mean, 6) if known else None,
            "sd": round(self.sd, 6) if known else None,
            "folds": values,
        }

    def text(self) -> str:
        """Write the figure for a table."""
        return f"{self.mean:.4f} ± {self.sd:.4f}" if self.values else "undefined"


@dataclass(frozen=True, slots=True)
class FoldDifference:
    """By how much training `first` is better than training `second`.

    Attributes:
        value: mean over the folds, in the figure's own unit; negative where it is worse.
        sd: over the folds.
        p: chance of such a difference if there were none, by the corrected resampled t test.
        p_adjusted: the same, corrected for the number of pairs (Holm).
    """

    first: str
    second: str
    figure: str
    value: float
    sd: float
    p: float
    p_adjusted: float

    @property
    def better(self) -> str | None:
        """The name of the one that is known to be better; None where that is not known."""
        if not self.p_adjusted < ALPHA:
            return None
        return self.first if self.value > 0 else self.second

    def to_json(self) -> dict[str, object]:
        numbers = {name: float(f"{getattr(self, name):.6g}") for name in ("value", "sd", "p", "p_adjusted")}
        return {"first": self.first, "second": self.second, "figure": self.figure, **numbers, "better": self.better}


def fold_numbers(dataset: Dataset, thumbnails: Array, count: int, *, seed: int = 0) -> list[int]:
    """Return the fold of each picture, 0 to `count` - 1.

    Args:
        thumbnails: of the dataset's pictures, (n, 256): by them equal pictures are found, which stay together.

    Raises:
        InputError: there are fewer independent pictures than folds, or fewer than two folds.
    """
    shares = folds(count)
    units = units_of([sample.path for sample in dataset.samples], thumbnails, dataset.groups)
    classes = [[str(min(sample.accepted))] if isinstance(sample, ClassSample) else [] for sample in dataset.samples]
    names = assign(classes, [str(unit) for unit in units], shares, seed=seed)
    place = {share.name: number for number, share in enumerate(shares)}
    return [place[name] for name in names]


def across_folds(dataset: Dataset, answers: Answers, numbers: Sequence[int]) -> dict[str, Spread]:
    """Measure one model on each fold.

    Args:
        numbers: the fold of each picture, of `fold_numbers`; the same for all models that are compared.

    Raises:
        InputError: on one fold nothing can be measured.
    """
    found: dict[str, list[float]] = {}
    for fold in sorted(set(numbers)):
        places = [place for place, number in enumerate(numbers) if number == fold]
        part = replace(dataset, samples=tuple(dataset.samples[place] for place in places))
        try:
            card = scorecard(part, answers.only(places))
        except InputError as error:
            raise InputError(
                f"Fold {fold + 1} of {len(set(numbers))} cannot be measured: {error.message}",
                hint="Ask for fewer folds, or give more pictures.",
            ) from error
        for name, metric in card.metrics.items():
            found.setdefault(name, []).append(metric.value)
    return {name: _spread(values) for name, values in found.items()}


def fold_differences(
    spreads: Mapping[str, Mapping[str, Spread]], figure: str, folds: int
) -> tuple[FoldDifference, ...]:
    """Compare each two models that were trained anew for each fold.

    Args:
        spreads: by the model's name and the figure's. A model whose figure is not defined on every fold is left out.
        folds: how many there are.
    """
    values = {name: found[figure].values for name, found in spreads.items()}
    pairs = list(combinations([name for name, found in values.items() if len(found) == folds > 1], 2))
    sign = -1 if counts_errors(figure) else 1
    tests = [resampled_t(values[one], values[other]) for one, other in pairs]
    adjusted = holm([test.p for test in tests])
    return tuple(
        FoldDifference(one, other, figure, sign * test.mean, test.sd, test.p, corrected)
        for (one, other), test, corrected in zip(pairs, tests, adjusted, strict=True)
    )


def _spread(values: Sequence[float]) -> Spread:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return Spread(float("nan"), float("nan"), ())
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else 0.0
    return Spread(float(np.mean(known)), sd, tuple(known))
