"""Measure a model on labelled pictures: top-1, AP50, or character errors and words, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from edgesdk.evaluate.average_precision import Matched, Truth, match, mean_average_precision
from edgesdk.evaluate.dataset import Dataset
from edgesdk.evaluate.intervals import Metric, proportion
from edgesdk.evaluate.samples import BoxSample, ClassSample, TextSample
from edgesdk.evaluate.text_error import text_metrics
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.results import Classification, Detections, Result, Text, name_of
from edgesdk_targets.tensor import Array

Predict = Callable[[Array], Result]
Progress = Callable[[int, int], None]
S = TypeVar("S", ClassSample, BoxSample, TextSample)
R = TypeVar("R", Classification, Detections, Text)

# A detector has to be opened with this threshold: AP counts how the weak detections are ranked, too.
AP_SCORE_THRESHOLD = 0.001


@dataclass(frozen=True, slots=True)
class Scorecard:
    """What was measured.

    Attributes:
        metrics: by name: `top1`, `ap50`, `cer`, `word_accuracy`, `word_accuracy_ignoring_case`.
        by_class: the main figure of each class that has samples, by its label.
        verdict: `measured`, as long as no gate judges it.
    """

    task: str
    metrics: dict[str, Metric]
    by_class: dict[str, float] = field(default_factory=dict)
    verdict: str = "measured"

    def to_json(self) -> dict[str, object]:
        return {
            "task": self.task,
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "by_class": {name: round(value, 6) for name, value in self.by_class.items()},
            "verdict": self.verdict,
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
    return _MEASURES[dataset.task](predict, dataset, progress)


def _answers(
    predict: Predict, dataset: Dataset, progress: Progress | None, sample_kind: type[S], result_kind: type[R]
) -> Iterator[tuple[S, Array, R]]:
    """Yield each sample, its picture and the model's answer."""
    for done, sample in enumerate(dataset.samples, 1):
        image = read_image(sample.path)
        result = predict(image)
        if not isinstance(result, result_kind) or not isinstance(sample, sample_kind):
            raise InputError(
                f"The model answers with {result.kind}, but the dataset is for {dataset.task}.",
                hint="Give a dataset for the model's task.",
            )
        yield sample, image, result
        if progress:
            progress(done, len(dataset))


def _classify(predict: Predict, dataset: Dataset, progress: Progress | None) -> Scorecard:
    right: dict[int, list[bool]] = {}
    for sample, _, result in _answers(predict, dataset, progress, ClassSample, Classification):
        right.setdefault(min(sample.accepted), []).append(int(result.class_ids[0]) in sample.accepted)
    every = [hit for hits in right.values() for hit in hits]
    by_class = {name_of(c, dataset.labels): sum(hits) / len(hits) for c, hits in sorted(right.items())}
    return Scorecard(dataset.task, {"top1": proportion(sum(every), len(every))}, by_class)


def _detect(predict: Predict, dataset: Dataset, progress: Progress | None) -> Scorecard:
    pictures: list[Matched] = []
    for sample, image, result in _answers(predict, dataset, progress, BoxSample, Detections):
        truth = _in_pixels(sample, image.shape[0], image.shape[1])
        pictures.append(match(result.boxes, result.scores, result.class_ids, truth))
    if not any(picture.positives for picture in pictures):
        raise InputError("The dataset holds no boxes.", hint="Give pictures with labelled objects.")
    metric, by_class = mean_average_precision(pictures)
    return Scorecard(dataset.task, {"ap50": metric}, {name_of(c, dataset.labels): v for c, v in by_class.items()})


def _in_pixels(sample: BoxSample, height: int, width: int) -> Truth:
    if not sample.fractions:
        return sample.truth
    sides = np.asarray((width, height, width, height))
    return Truth(sample.truth.boxes * sides, sample.truth.class_ids, sample.truth.crowd)


def _text(predict: Predict, dataset: Dataset, progress: Progress | None) -> Scorecard:
    pairs = [(r.text, s.text) for s, _, r in _answers(predict, dataset, progress, TextSample, Text)]
    return Scorecard(dataset.task, text_metrics([read for read, _ in pairs], [truth for _, truth in pairs]))


_MEASURES: dict[str, Callable[[Predict, Dataset, Progress | None], Scorecard]] = {
    "classify": _classify,
    "detect": _detect,
    "text": _text,
}
