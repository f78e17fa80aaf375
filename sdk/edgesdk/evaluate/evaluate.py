"""Measure a model on labelled pictures: the figures of its task, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers, Predict, Progress, check_kind, collect, in_pixels, paths_of
from edgesdk.evaluate.average_precision import match, mean_average_precision
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.intervals import Metric, proportion, ratio_of_sums
from edgesdk.evaluate.label_check import misplaced_classes, misplaced_texts, misplaced_values, next_to_nothing
from edgesdk.evaluate.text_error import text_metrics
from edgesdk.evaluate.vectors import checked_width, lonely_classes, nearest_is_right, true_spread, unit_vectors
from edgesdk.layouts.samples import BoxSample, ClassSample, TextSample, ValueSample
from edgesdk_targets.errors import InputError
from edgesdk_targets.results import Classification, Detections, Embedding, Regression, Text, name_of
from edgesdk_targets.tensor import Array

_SHOWN = 8
_MODEL = "the model"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What was measured.

    Attributes:
        metrics: by name: `top1`; `ap50`; `cer`, `word_accuracy`, `word_accuracy_ignoring_case`; `retrieval_top1`;
            `mae`, `relative_error`.
        by_class: the main figure of each class that has samples, by its label; of a regression `mae` of each number.
        verdict: `measured`, as long as no gate judges it.
        warnings: what the figures do not tell.
    """

    task: str
    metrics: dict[str, Metric]
    by_class: dict[str, float] = field(default_factory=dict)
    verdict: str = "measured"
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        return {
            "task": self.task,
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "by_class": {name: round(value, 6) for name, value in self.by_class.items()},
            "verdict": self.verdict,
            "warnings": list(self.warnings),
        }


def evaluate(predict: Predict, dataset: Dataset, *, progress: Progress | None = None) -> Scorecard:
    """Measure `predict` on every picture of `dataset`.

    Args:
        predict: answers for one picture (H, W, 3) uint8 BGR; a detector with scores down to `AP_SCORE_THRESHOLD`.
        dataset: at least one sample, of the model's task.
        progress: called with the number of pictures done and of all.

    Raises:
        InputError: a picture cannot be read, or the model answers another task.
    """
    return scorecard(dataset, collect(predict, paths_of(dataset), progress))


def scorecard(dataset: Dataset, answers: Answers) -> Scorecard:
    """Measure answers that were collected before.

    Raises:
        InputError: the answers are for another task, or are no numbers.
    """
    check_kind(answers.results, dataset.task)
    broken = answers.broken()
    if broken and dataset.task in {"embed", "regress"}:
        raise InputError(
            f"The model's answer to {dataset.samples[broken[0]].path} is no number (NaN), and to "
            f"{len(broken) - 1} more of {len(answers)}.",
            hint="Check the model's weights and its preprocessing.",
        )
    card = _MEASURES[dataset.task](dataset, answers)
    return replace(card, warnings=(*dataset.warnings, *card.warnings))


def _doubt(misplaced: str) -> tuple[str, ...]:
    """Return the warning that the figure says little of the model, or none."""
    return (f"The labels do not seem to belong to these pictures: {misplaced}.",) if misplaced else ()


def absent_classes(dataset: Dataset, present: set[int]) -> tuple[str, ...]:
    """Return the warning about classes without samples, or none."""
    absent = [name for i, name in enumerate(dataset.labels) if i not in present]
    if not absent:
        return ()
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    listed = ", ".join(absent[:_SHOWN])
    said = f"{len(absent)} of {len(dataset.labels)} classes never occur in the data: {listed}{more};"
    return (f"{said} nothing is known about them.",)


def _classify(dataset: Dataset, answers: Answers) -> Scorecard:
    right: dict[int, list[bool]] = {}
    for sample, result in zip(
        cast("tuple[ClassSample, ...]", dataset.samples),
        cast("tuple[Classification, ...]", answers.results),
        strict=True,
    ):
        right.setdefault(min(sample.accepted), []).append(int(result.class_ids[0]) in sample.accepted)
    every = [hit for hits in right.values() for hit in hits]
    by_class = {name_of(c, dataset.labels): sum(hits) / len(hits) for c, hits in sorted(right.items())}
    accepted = [sample.accepted for sample in cast("tuple[ClassSample, ...]", dataset.samples)]
    predicted = [int(r.class_ids[0]) for r in cast("tuple[Classification, ...]", answers.results)]
    doubt = _doubt(misplaced_classes(predicted, accepted, len(dataset.labels), _MODEL))
    warnings = (*doubt, *absent_classes(dataset, set(right)))
    return Scorecard(dataset.task, {"top1": proportion(sum(every), len(every))}, by_class, warnings=warnings)


def _detect(dataset: Dataset, answers: Answers) -> Scorecard:
    pictures = [
        match(result.boxes, result.scores, result.class_ids, in_pixels(sample, size))
        for sample, size, result in zip(
            cast("tuple[BoxSample, ...]", dataset.samples),
            answers.sizes,
            cast("tuple[Detections, ...]", answers.results),
            strict=True,
        )
    ]
    if not any(picture.positives for picture in pictures):
        raise InputError("The dataset holds no boxes.", hint="Give pictures with labelled objects.")
    metric, by_class = mean_average_precision(pictures)
    named = {name_of(c, dataset.labels): v for c, v in by_class.items()}
    warnings = (*_doubt(next_to_nothing(metric, _MODEL)), *absent_classes(dataset, set(by_class)))
    return Scorecard(dataset.task, {"ap50": metric}, named, warnings=warnings)


def _text(dataset: Dataset, answers: Answers) -> Scorecard:
    read = [result.text for result in cast("tuple[Text, ...]", answers.results)]
    truth = [sample.text for sample in cast("tuple[TextSample, ...]", dataset.samples)]
    metrics = text_metrics(read, truth)
    doubt = _doubt(misplaced_texts(read, truth, metrics["cer"], _MODEL))
    return Scorecard(dataset.task, metrics, warnings=doubt)


def _embed(dataset: Dataset, answers: Answers) -> Scorecard:
    vectors = unit_vectors([result.vector for result in cast("tuple[Embedding, ...]", answers.results)])
    classes = class_numbers(dataset)
    units = units_of(answers.paths, answers.thumbnails, dataset.groups)
    right = nearest_is_right(vectors, classes, units)
    by_class = {name_of(int(c), dataset.labels): float(right[classes == c].mean()) for c in np.unique(classes)}
    metric = proportion(int(right.sum()), len(right))
    return Scorecard(dataset.task, {"retrieval_top1": metric}, by_class, warnings=_lonely(dataset, classes, units))


def class_numbers(dataset: Dataset) -> Array:
    """Return the class of each picture, (n,) int64; of several that are right, the first.

    Raises:
        InputError: all pictures are of one class, among which nothing can be found.
    """
    classes = np.asarray([min(sample.accepted) for sample in cast("tuple[ClassSample, ...]", dataset.samples)])
    if dataset.task == "embed" and len(np.unique(classes)) < 2:
        raise InputError("All pictures are of one class.", hint="Give two classes or more, with two pictures each.")
    return classes


def _lonely(dataset: Dataset, classes: Array, units: Array) -> tuple[str, ...]:
    alone = [name_of(c, dataset.labels) for c in lonely_classes(classes, units)]
    if not alone:
        return ()
    return (
        f"Only one independent picture of {', '.join(alone[:_SHOWN])}: it can never be found, and counts as wrong.",
    )


def _regress(dataset: Dataset, answers: Answers) -> Scorecard:
    truth = np.asarray([sample.values for sample in cast("tuple[ValueSample, ...]", dataset.samples)], np.float64)
    values = [result.values for result in cast("tuple[Regression, ...]", answers.results)]
    checked_width(truth.shape[1], len(values[0]))
    answered = np.stack(values).astype(np.float64)
    errors = np.abs(answered - truth)
    metrics = {"mae": ratio_of_sums(errors.mean(axis=1), np.ones(len(errors)))}
    spread = true_spread(truth)
    warnings: tuple[str, ...] = ()
    if (spread > 0).all():
        metrics["relative_error"] = ratio_of_sums((errors / spread).mean(axis=1), np.ones(len(errors)))
        warnings = _doubt(misplaced_values(answered, truth, spread, metrics["relative_error"], _MODEL))
    else:
        alike = ", ".join(name_of(int(i), dataset.labels) for i in np.flatnonzero(spread == 0))
        warnings = (f"All labels of {alike} are the same number: a model that always gives it would look perfect.",)
    by_name = {name_of(i, dataset.labels): float(value) for i, value in enumerate(errors.mean(axis=0))}
    return Scorecard(dataset.task, metrics, by_name, warnings=warnings)


_MEASURES: dict[str, Callable[[Dataset, Answers], Scorecard]] = {
    "classify": _classify,
    "detect": _detect,
    "text": _text,
    "embed": _embed,
    "regress": _regress,
}
