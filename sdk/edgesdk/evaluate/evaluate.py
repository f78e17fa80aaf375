"""Measure a model on labelled pictures: the figures of its task, each with its interval."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edgesdk.evaluate.answers import Answers, Predict, Progress, check_kind, collect, paths_of
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.measure_boxes import measure_boxes
from edgesdk.evaluate.measure_classes import measure_classes
from edgesdk.evaluate.measure_texts import measure_texts
from edgesdk.evaluate.measure_vectors import measure_embeddings, measure_values
from edgesdk.evaluate.scorecard import Scorecard
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array

_MEASURES: dict[str, Callable[[Dataset, Answers, Array], Scorecard]] = {
    "classify": measure_classes,
    "text": measure_texts,
    "embed": measure_embeddings,
    "regress": measure_values,
}

# Of fewer independent samples draws are too much alike: intervals are too narrow.
_FEW = 5


def evaluate(
    predict: Predict, dataset: Dataset, *, score_threshold: float | None = None, progress: Progress | None = None
) -> Scorecard:
    """Measure `predict` on every picture of `dataset`.

    Args:
        predict: answers for one picture (H, W, 3) uint8 BGR; with the settings of `measured_with`.
        dataset: at least one sample, of the model's task.
        score_threshold: from which the device counts a detection, for a detector's precision, recall and F1.
        progress: called with the number of pictures done and of all.

    Raises:
        InputError: a picture cannot be read, or the model answers another task.
    """
    return scorecard(dataset, collect(predict, paths_of(dataset), progress), score_threshold=score_threshold)


def scorecard(dataset: Dataset, answers: Answers, *, score_threshold: float | None = None) -> Scorecard:
    """Measure answers that were collected before; see `evaluate`.

    Raises:
        InputError: the answers are for another task, or are no numbers.
    """
    check_answers(dataset, answers)
    units = units_of(answers.paths, answers.thumbnails, dataset.groups)
    if dataset.task == "detect":
        card = measure_boxes(dataset, answers, units, score_threshold)
    else:
        card = _MEASURES[dataset.task](dataset, answers, units)
    return replace(card, warnings=(*dataset.warnings, *card.warnings, *_few(int(units.max()) + 1)))


def _few(units: int) -> tuple[str, ...]:
    if units >= _FEW:
        return ()
    what = "is 1 independent sample" if units == 1 else f"are {units} independent samples"
    return (f"There {what} (frames of a clip count as one): figures may be further off than their intervals say.",)


def check_answers(dataset: Dataset, answers: Answers) -> None:
    """Check that there is a usable answer to every picture.

    Raises:
        InputError: there are fewer or more, they are for another task, or are no numbers.
    """
    if len(answers) != len(dataset):
        raise InputError(
            f"There are {len(answers)} answers to {len(dataset)} pictures.", hint="Collect one answer for each picture."
        )
    check_kind(answers.results, dataset.task)
    broken = answers.broken()
    if broken and dataset.task in {"classify", "embed", "regress"}:
        raise InputError(
            f"The model's answer to {dataset.samples[broken[0]].path} is no number (NaN), and to "
            f"{len(broken) - 1} more of {len(answers)}.",
            hint="Check the model's weights and its preprocessing.",
        )
