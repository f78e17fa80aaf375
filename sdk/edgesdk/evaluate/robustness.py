"""How much a model's main figure falls as its pictures get worse: a curve for each disturbance, beside the original.

The labels stay, as the same is in the picture. Only a shift moves boxes: what a detector found is moved back, and what left
the picture is cut off the true boxes; a box of which less than half is left counts neither way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from edgesdk.evaluate.answers import Answers, Predict, Progress, collect, in_pixels, paths_of
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.disturbances import Disturbance
from edgesdk.evaluate.evaluate import check_answers
from edgesdk.evaluate.groups import units_of
from edgesdk.evaluate.intervals import Metric
from edgesdk.evaluate.measure_boxes import ap50
from edgesdk.evaluate.measure_classes import top1
from edgesdk.evaluate.measure_texts import cer
from edgesdk.evaluate.measure_vectors import mae, retrieval_top1
from edgesdk.layouts.samples import BoxSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.results import Detections, Result
from edgesdk_targets.tensor import Array

_Figure = Callable[[Dataset, Answers, Array], Metric]
# By task; the name is that of the scorecard.
MAIN_FIGURES: dict[str, tuple[str, _Figure]] = {
    "classify": ("top1", top1),
    "detect": ("ap50", ap50),
    "text": ("cer", cer),
    "embed": ("retrieval_top1", retrieval_top1),
    "regress": ("mae", mae),
}
# Of a box that is shifted out of the picture, as much must be left for it to count.
_LEFT = 0.5


@dataclass(frozen=True, slots=True)
class Curve:
    """One disturbance: the figure at each grade."""

    disturbance: Disturbance
    figures: tuple[Metric, ...]

    def to_json(self) -> dict[str, object]:
        points = zip(self.disturbance.grades, self.figures, strict=True)
        return {
            "disturbance": self.disturbance.name,
            "unit": self.disturbance.unit,
            "points": [{"grade": grade, **figure.to_json()} for grade, figure in points],
        }


@dataclass(frozen=True, slots=True)
class Robustness:
    """The curves of all disturbances.

    Attributes:
        figure: which one was measured.
        original: it, of the pictures as they are.
    """

    figure: str
    original: Metric
    curves: tuple[Curve, ...]

    def to_json(self) -> dict[str, object]:
        return {
            "figure": self.figure,
            "original": self.original.to_json(),
            "curves": [curve.to_json() for curve in self.curves],
        }


def measure_robustness(
    predict: Predict, dataset: Dataset, disturbances: Sequence[Disturbance], *, progress: Progress | None = None
) -> Robustness:
    """Measure a model's main figure on the pictures as they are, and disturbed.

    Args:
        predict: answers for one picture (H, W, 3) uint8 BGR, as of `evaluate`.
        disturbances: each costs as many passes over the pictures as it has grades; they are decoded once.
        progress: called with the number of answers given and of all.

    Raises:
        InputError: a picture cannot be read, or the model's answers cannot be used.
    """
    name, figure = MAIN_FIGURES[dataset.task]
    each = len(dataset)
    total = each * (1 + sum(len(one.grades) for one in disturbances))
    clean = collect(predict, paths_of(dataset), (lambda done, _: progress(done, total)) if progress else None)
    check_answers(dataset, clean)
    units = units_of(clean.paths, clean.thumbnails, dataset.groups)
    done, curves = each, []
    for disturbance in disturbances:
        graded = _Graded(predict, disturbance)
        count = _count(progress, done, total, len(disturbance.grades))
        seen = collect(graded, paths_of(dataset), count)
        figures = []
        for place in range(len(disturbance.grades)):
            answers = replace(seen, results=tuple(graded.results[place]))
            shown = dataset if dataset.task != "detect" else _moved(dataset, answers, graded.moves[place])
            check_answers(shown, answers)
            figures.append(figure(shown, answers, units))
        curves.append(Curve(disturbance, tuple(figures)))
        done += each * len(disturbance.grades)
    return Robustness(name, figure(dataset, clean, units), tuple(curves))


def _count(progress: Progress | None, before: int, total: int, grades: int) -> Progress | None:
    return (lambda done, _: progress(before + done * grades, total)) if progress else None


class _Graded:
    """Ask a model about each picture in all grades; the answers are kept by grade, boxes where they would be undisturbed."""

    def __init__(self, predict: Predict, disturbance: Disturbance) -> None:
        self._predict = predict
        self._disturbance = disturbance
        self.results: list[list[Result]] = [[] for _ in disturbance.grades]
        self.moves: list[list[tuple[int, int]]] = [[] for _ in disturbance.grades]

    def __call__(self, image: Array) -> Result:
        for place, grade in enumerate(self._disturbance.grades):
            disturbed = self._disturbance(image, grade)
            result = self._predict(disturbed.image)
            if isinstance(result, Detections):
                result = replace(result, boxes=result.boxes - np.asarray(disturbed.moved * 2, np.float32))
            self.results[place].append(result)
            self.moves[place].append(disturbed.moved)
        return self.results[-1][-1]


def _moved(dataset: Dataset, answers: Answers, moves: Sequence[tuple[int, int]]) -> Dataset:
    """Return a dataset of boxes in which what was moved out of its picture is cut off."""
    samples = cast("tuple[BoxSample, ...]", dataset.samples)
    cut = [
        BoxSample(sample.path, _visible(in_pixels(sample, size), size, move), fractions=False)
        for sample, size, move in zip(samples, answers.sizes, moves, strict=True)
    ]
    return replace(dataset, samples=tuple(cut))


def _visible(truth: Truth, size: tuple[int, int], move: tuple[int, int]) -> Truth:
    """Cut boxes, which are where they were before the move, to what of the picture is still there."""
    if move == (0, 0) or not len(truth.boxes):
        return truth
    height, width = size
    low = np.maximum(0, -np.asarray(move, np.float64))
    high = np.asarray([width, height]) - np.maximum(0, np.asarray(move))
    boxes = truth.boxes.astype(np.float64)
    cut = np.concatenate([np.clip(boxes[:, :2], low, high), np.clip(boxes[:, 2:], low, high)], axis=1)
    whole, left = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, cut))
    crowd = np.zeros(len(boxes), bool) if truth.crowd is None else truth.crowd
    # What counts neither way is what a crowd is.
    gone = left < _LEFT * whole
    return Truth(np.where((left <= 0)[:, None], boxes, cut), truth.class_ids, crowd | gone)
