"""Folds: how much a model's figures vary from one part of the data to another.

The pictures are divided as `edgesdk data split --folds` divides them: each class evenly, what belongs together in one fold. A
model that is trained already is measured on each fold; the mean says what it gives, the spread how far another set of this
size may lie from it. Data and evaluation do not know each other; this joins them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgesdk.data.splitting import assign, folds
from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.evaluate import scorecard
from edgesdk.evaluate.groups import units_of
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.errors import InputError


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


def fold_numbers(dataset: Dataset, answers: Answers, count: int, *, seed: int = 0) -> list[int]:
    """Return the fold of each picture, 0 to `count` - 1.

    Args:
        answers: of any model to the dataset: by the thumbnails equal pictures are found, which stay together.

    Raises:
        InputError: there are fewer independent pictures than folds, or fewer than two folds.
    """
    shares = folds(count)
    units = units_of(answers.paths, answers.thumbnails, dataset.groups)
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


def _spread(values: Sequence[float]) -> Spread:
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return Spread(float("nan"), float("nan"), ())
    sd = float(np.std(known, ddof=1)) if len(known) > 1 else 0.0
    return Spread(float(np.mean(known)), sd, tuple(known))
