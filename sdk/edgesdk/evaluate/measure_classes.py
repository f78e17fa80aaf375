"""The figures of a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.intervals import RESAMPLES, Metric
from edgesdk.evaluate.label_check import doubt, misplaced_classes
from edgesdk.evaluate.labelled_classes import absent_classes, class_numbers
from edgesdk.evaluate.metrics.arrays import defined_mean
from edgesdk.evaluate.metrics.bootstrap import bootstrapped, share
from edgesdk.evaluate.metrics.calibration import Bin, Calibration
from edgesdk.evaluate.metrics.classes import ClassOutcomes
from edgesdk.evaluate.metrics.roc import OneVersusRest
from edgesdk.evaluate.scorecard import ClassDetail, Scorecard
from edgesdk.layouts.samples import ClassSample
from edgesdk_targets.results import Classification, name_of
from edgesdk_targets.tensor import Array

_FIGURES = ("precision", "recall", "f1")
# So many scores are ranked for an interval of ROC-AUC, in all draws together; of large sets fewer draws are taken.
_RANKED = 1 << 29
_LEAST_RESAMPLES = 100
# More scores than these are kept and ranked by nobody who waits for them.
_MOST_SCORES = 5_000_000


def top1(dataset: Dataset, answers: Answers, units: Array) -> Metric:
    """Return the share of pictures whose best class is right."""
    right = [int(result.class_ids[0]) in accepted for result, accepted in _pairs(dataset, answers)]
    return share(np.asarray(right), units)


def measure_classes(dataset: Dataset, answers: Answers, units: Array) -> Scorecard:
    """Return the figures of a classifier."""
    pairs = _pairs(dataset, answers)
    truth = class_numbers(dataset)
    best = np.asarray([int(result.class_ids[0]) for result, _ in pairs])
    # An answer that is right, but not the first of a picture's labels, counts as that first one.
    answered = np.asarray([t if b in a else b for t, b, (_, a) in zip(truth, best, pairs, strict=True)])
    count = max(len(dataset.labels), int(truth.max()) + 1, int(best.max()) + 1)
    labels = tuple(name_of(c, dataset.labels) for c in range(count))
    outcomes = ClassOutcomes(truth, answered, count)
    macro, classes = _by_class(outcomes, units)
    ranking = _ranked(pairs, units, labels)
    calibration = _calibrated(pairs, truth == answered, units)
    for one, area in zip(classes, ranking.areas, strict=False):
        one["roc_auc"] = area
    accuracy = share(truth == answered, units)
    misplaced = misplaced_classes(best.tolist(), [a for _, a in pairs], len(dataset.labels), "the model")
    present = np.unique(truth).tolist()
    return Scorecard(
        dataset.task,
        {
            "top1": accuracy,
            "balanced_accuracy": macro["recall"],
            **{f"{name}_micro": accuracy for name in _FIGURES},
            **{f"{name}_macro": macro[name] for name in _FIGURES},
            "roc_auc": ranking.mean,
            "ece": calibration.error,
        },
        {labels[c]: classes[c]["recall"].value for c in present},
        dict(zip(labels, classes, strict=True)),
        ClassDetail(labels, outcomes.confusion(), calibration.bins, ranking.curves),
        warnings=(
            *doubt(misplaced),
            *absent_classes(dataset, set(present)),
            *ranking.warnings,
            *calibration.warnings,
        ),
    )


def _pairs(dataset: Dataset, answers: Answers) -> list[tuple[Classification, frozenset[int]]]:
    samples = cast("tuple[ClassSample, ...]", dataset.samples)
    results = cast("tuple[Classification, ...]", answers.results)
    return [(result, sample.accepted) for sample, result in zip(samples, results, strict=True)]


def _by_class(outcomes: ClassOutcomes, units: Array) -> tuple[dict[str, Metric], list[dict[str, Metric]]]:
    """Return the macro figures, and those of each class."""

    def figures(draws: Array) -> Array:
        found = outcomes.figures(draws)
        return np.concatenate(
            [
                np.stack([found.precision_macro, found.balanced_accuracy, found.f1_macro], axis=1),
                found.precision,
                found.recall,
                found.f1,
            ],
            axis=1,
        )

    shown = [outcomes.truth == c for c in range(outcomes.classes)]
    said = [outcomes.answered == c for c in range(outcomes.classes)]
    bears = (said, shown, [a | b for a, b in zip(said, shown, strict=True)])
    sizes = np.asarray([[mask.sum() for mask in masks] for masks in bears])
    independent = np.asarray([[len(np.unique(units[mask])) for mask in masks] for masks in bears], np.float64)
    metrics = bootstrapped(
        figures,
        units,
        sizes=np.concatenate([np.full(len(_FIGURES), len(units)), sizes.reshape(-1)]),
        independent=np.concatenate([_of_mean(independent), independent.reshape(-1)]),
    )
    macro, rest = metrics[: len(_FIGURES)], metrics[len(_FIGURES) :]
    classes = [
        {name: rest[place * outcomes.classes + c] for place, name in enumerate(_FIGURES)}
        for c in range(outcomes.classes)
    ]
    return dict(zip(_FIGURES, macro, strict=True)), classes


def _of_mean(independent: Array) -> Array:
    """Return how many samples make a share as sure as the mean over classes is, of which each has its own number."""
    present = independent > 0
    inverse = np.divide(1.0, independent, out=np.zeros_like(independent), where=present)
    sure: Array = present.sum(axis=1) ** 2 / inverse.sum(axis=1)
    return sure


@dataclass(frozen=True, slots=True)
class _Ranking:
    """ROC-AUC: the mean over classes, that of each, and the curves; not defined where scores are missing."""

    mean: Metric
    areas: list[Metric] = field(default_factory=list)
    curves: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _ranked(pairs: list[tuple[Classification, frozenset[int]]], units: Array, labels: tuple[str, ...]) -> _Ranking:
    n, count = len(pairs), len(labels)
    given = min(len(result.class_ids) for result, _ in pairs)
    if given < count:
        return _Ranking(
            _undefined(n),
            warnings=(f"ROC-AUC is not defined: only the best {given} of {count} classes have a score.",),
        )
    if n * count > _MOST_SCORES:
        return _Ranking(_undefined(n), warnings=(f"ROC-AUC is not measured: {n * count} scores are too many to rank.",))
    scores, positive = np.zeros((n, count)), np.zeros((n, count), bool)
    for row, (result, accepted) in enumerate(pairs):
        scores[row, result.class_ids] = result.scores
        positive[row, list(accepted)] = True
    ranking = OneVersusRest(scores, positive)

    def figures(draws: Array) -> Array:
        areas = ranking.areas(draws)
        return np.concatenate([defined_mean(areas)[:, None], areas], axis=1)

    resamples = int(np.clip(_RANKED // (n * count), _LEAST_RESAMPLES, RESAMPLES))
    # A class's area is as sure as the fewer of its own and of all other pictures are many.
    independent = np.asarray(
        [min(len(np.unique(units[column])), len(np.unique(units[~column]))) for column in positive.T], np.float64
    )
    mean, *areas = bootstrapped(
        figures,
        units,
        independent=np.concatenate([_of_mean(independent[None]) if independent.any() else [0.0], independent]),
        resamples=resamples,
    )
    curves = {label: ranking.curve(c) for c, label in enumerate(labels) if areas[c].is_defined}
    return _Ranking(mean, areas, curves)


@dataclass(frozen=True, slots=True)
class _Calibrated:
    error: Metric
    bins: tuple[Bin, ...] = ()
    warnings: tuple[str, ...] = ()


def _calibrated(pairs: list[tuple[Classification, frozenset[int]]], right: Array, units: Array) -> _Calibrated:
    confidence = np.asarray([result.scores[0] for result, _ in pairs], np.float64)
    if confidence.min() < 0 or confidence.max() > 1:
        return _Calibrated(
            _undefined(len(pairs)),
            warnings=("The calibration error is not defined: scores outside 0..1 are no probabilities.",),
        )
    calibration = Calibration(confidence, right)
    (error,) = bootstrapped(lambda draws: calibration.error(draws)[:, None], units)
    return _Calibrated(error, calibration.reliability())


def _undefined(n: int) -> Metric:
    return Metric(np.nan, np.nan, np.nan, n)
