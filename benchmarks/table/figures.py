"""How good an artifact is, by the pictures of its case: against the float model's answers, and against the truth."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgesdk.evaluate.average_precision import Matched, average_precisions, match, mean_average_precision, whole
from edgesdk.evaluate.dataset import open_dataset
from edgesdk.evaluate.groups import mean_by_unit
from edgesdk.evaluate.intervals import Metric, between, jackknifed, proportion, resampled_counts
from edgesdk.evaluate.paired_proportions import drop_bounds
from edgesdk.layouts.samples import BoxSample, TextSample
from edgesdk.layouts.truth import Truth
from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.image_file import read_image
from edgesdk_targets.results import Classification, Detections, Result, Text
from table.asset_pictures import judged_pictures, read
from table.sample_pictures import all_digits

Array = NDArray[Any]
Answers = list[Result]
R = TypeVar("R", Classification, Detections, Text)

# Detections weaker than this are not asked to agree.
STRONG = 0.35


@dataclass(frozen=True, slots=True)
class Exam:
    """Pictures, and what the answers to them are worth.

    Attributes:
        main: the figure by which artifacts are compared.
        figures: (float answers, artifact's answers) → figure name → metric.
        one_detection: float answers → by how much a figure changes where one of their detections is found otherwise; nothing of
            figures that count pictures.
    """

    pictures: Sequence[Array]
    main: str
    figures: Callable[[Answers, Answers], dict[str, Metric]]
    one_detection: Callable[[Answers], dict[str, float]] = lambda _: {}

    def answers(self, predict: Callable[[Array], Result]) -> Answers:
        return [predict(picture) for picture in self.pictures]


def classes_exam(assets: Path, labelled: Callable[[Path], list[tuple[Path, frozenset[int]]]], every: int) -> Exam:
    """Make an exam of the listed pictures with their crops, and of the few that have a label."""
    listed = list(judged_pictures(assets, crops=True, every=every))
    truth = labelled(assets)
    units = [picture.unit for picture in listed]

    def figures(wanted: Answers, got: Answers) -> dict[str, Metric]:
        same = np.asarray([_top(a) == _top(b) for a, b in zip(wanted, got, strict=True)])
        right = sum(_top(answer) in accepted for answer, (_, accepted) in zip(got[len(units) :], truth, strict=True))
        return {
            "agrees with float": _clustered(same[: len(units)], units),
            "right, of the labelled": proportion(right, len(truth)),
        }

    images = [*(picture.image for picture in listed), *(read(path) for path, _ in truth)]
    return Exam(images, "agrees with float", figures)


def boxes_exam(assets: Path, labels: tuple[str, ...] | None, every: int, *, frames: bool) -> Exam:
    """Make an exam of the listed pictures, whole; with labels, the COCO pictures give AP50 too."""
    listed = [picture.image for picture in judged_pictures(assets, crops=False, frames=frames, every=every)]
    samples: list[BoxSample] = []
    if labels is not None:
        dataset = open_dataset(assets / "detection_coco", task="detect", labels=labels)
        samples = [sample for sample in dataset.samples if isinstance(sample, BoxSample)]
    images = [*listed, *(read_image(sample.path) for sample in samples)]

    def figures(wanted: Answers, got: Answers) -> dict[str, Metric]:
        found = {"F1 with float": _f1(wanted[: len(listed)], got[: len(listed)])}
        if samples:
            found |= _ap50(samples, images[len(listed) :], wanted[len(listed) :], got[len(listed) :])
        return found

    return Exam(images, "F1 with float", figures, lambda wanted: _one_detection(wanted[: len(listed)]))


def words_exam(assets: Path, every: int) -> Exam:
    """Make an exam of the words in print and in scenes."""
    rows = [(folder, row) for kind in ("print", "scene") for folder, row in _rows(assets / f"crnn/words_{kind}")][
        ::every
    ]
    texts = [row["text"] for _, row in rows]
    return Exam([read(folder / row["file"]) for folder, row in rows], "words right", _text_figures(texts))


def rows_exam(folder: Path, every: int) -> Exam:
    """Make an exam of rendered rows of digits."""
    dataset = open_dataset(folder, task="text", labels=())
    samples = [sample for sample in dataset.samples if isinstance(sample, TextSample)][::every]
    images = [read_image(sample.path) for sample in samples]
    return Exam(images, "words right", _text_figures([sample.text for sample in samples]))


def digits_exam(examples: Path, every: int, *, only_unseen: bool = False) -> Exam:
    """Make an exam of the 1,797 handwritten digits, or of those among them that were never trained on."""
    pictures, labels, test = all_digits(examples)
    places = (np.flatnonzero(test) if only_unseen else np.arange(len(test)))[::every]
    pictures, labels, test = [pictures[place] for place in places], labels[places], test[places]

    def figures(wanted: Answers, got: Answers) -> dict[str, Metric]:
        best = np.asarray([_top(answer) for answer in got])
        before = np.asarray([_top(answer) for answer in wanted])
        same, right = best == before, best == labels
        return {
            "top-1": proportion(int(right.sum()), len(right)),
            "top-1 lost": _lost(before == labels, right),
            "top-1, never trained on": proportion(int(right[test].sum()), int(test.sum())),
            "agrees with float": proportion(int(same.sum()), len(same)),
        }

    return Exam(pictures, "top-1", figures)


def rendered_boxes_exam(folder: Path, labels: tuple[str, ...], every: int) -> Exam:
    """Make an exam of rendered pictures of the conveyor."""
    dataset = open_dataset(folder, task="detect", labels=labels)
    samples = [sample for sample in dataset.samples if isinstance(sample, BoxSample)][::every]
    images = [read_image(sample.path) for sample in samples]

    def figures(wanted: Answers, got: Answers) -> dict[str, Metric]:
        return {**_ap50(samples, images, wanted, got), "F1 with float": _f1(wanted, got)}

    return Exam(images, "AP50", figures, _one_detection)


def imagenet_labels(assets: Path) -> list[tuple[Path, frozenset[int]]]:
    """Return the labelled photographs; class 0 is "background", so ImageNet's class k is k + 1."""
    return [
        (folder / row["file"], frozenset(int(i) + 1 for i in row["accepted_imagenet_ids_0based"].split(";")))
        for folder, row in _rows(assets / "classification/images")
    ]


def person_labels(assets: Path) -> list[tuple[Path, frozenset[int]]]:
    """Return the pictures of COCO, labelled person or not."""
    folder = assets / "detection_coco"
    with (folder / "person_labels.csv").open(encoding="utf-8", newline="") as file:
        return [(folder / "images" / row["file"], frozenset({int(row["person"])})) for row in csv.DictReader(file)]


def cifar_labels(assets: Path) -> list[tuple[Path, frozenset[int]]]:
    """Return the three photographs that show one of CIFAR-10's classes."""
    folder = assets / "classification/images"
    return [
        (folder / name, frozenset({place})) for name, place in (("cat.bmp", 3), ("cat_test_0.bmp", 3), ("bird.bmp", 2))
    ]


def _top(result: Result) -> int:
    return int(_as(Classification, result).class_ids[0])


def _as(kind: type[R], result: Result) -> R:
    if not isinstance(result, kind):
        raise InputError(f"The model answers with {result.kind}, not {kind.__name__}.", hint="Give it its own exam.")
    return result


def _clustered(same: Array, units: Sequence[str]) -> Metric:
    """Return the share with its interval: what is cut from one picture is one sample."""
    names = {unit: place for place, unit in enumerate(dict.fromkeys(units))}
    shares = mean_by_unit(same, np.asarray([names[unit] for unit in units]))
    return proportion(float(shares.sum()), len(shares))


def _f1(wanted: Answers, got: Answers) -> Metric:
    """Match the strong detections of both (overlap of one half, same class) and return F1 = 2 hits / (all of both)."""
    counts = np.zeros((len(wanted), 2))
    for place, (a, b) in enumerate(zip(wanted, got, strict=True)):
        before, after = _as(Detections, a), _as(Detections, b)
        strong, kept = before.scores >= STRONG, after.scores >= STRONG
        truth = Truth(before.boxes[strong].astype(float), before.class_ids[strong], np.zeros(int(strong.sum()), bool))
        found = match(after.boxes[kept], after.scores[kept], after.class_ids[kept], truth)
        counts[place] = 2.0 * found.hits.sum(), strong.sum() + kept.sum()
    whole = counts.sum(axis=0)
    if not whole[1]:
        raise InputError("Neither model finds anything on these pictures.", hint="Give pictures with objects.")
    without = whole - counts
    left_out = np.divide(without[:, 0], without[:, 1], out=np.ones(len(counts)), where=without[:, 1] > 0)
    return jackknifed(float(whole[0] / whole[1]), left_out, len(counts))


def _one_detection(wanted: Answers) -> dict[str, float]:
    """Return what F1 loses where one of n is another object, or elsewhere: missing here and too much there, a hit of n."""
    strong = sum(int((_as(Detections, answer).scores >= STRONG).sum()) for answer in wanted)
    return {"F1 with float": 1.0 / max(1, strong)}


def _lost(before: Array, after: Array) -> Metric:
    """Return by how much a share of the same samples dropped, with its exact paired interval."""
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    low, high = drop_bounds(len(before), lost, won, alpha=0.025)  # each end; both hold with 95 %
    return Metric((lost - won) / len(before), low, high, len(before))


def _ap50(samples: Sequence[BoxSample], images: Sequence[Array], wanted: Answers, got: Answers) -> dict[str, Metric]:
    """Return AP50 with its interval, and what of the float model's is lost, by the paired bootstrap."""
    before, after = (_matched(samples, images, answers) for answers in (wanted, got))
    draws = np.concatenate([whole(len(samples)), resampled_counts(len(samples))])
    lost = average_precisions(before, draws)[0] - average_precisions(after, draws)[0]
    return {
        "AP50": mean_average_precision(after)[0],
        "AP50 lost": between(lost[1:], float(lost[0]), len(samples)),
    }


def _matched(samples: Sequence[BoxSample], images: Sequence[Array], answers: Answers) -> list[Matched]:
    matched = []
    for sample, image, answer in zip(samples, images, answers, strict=True):
        result = _as(Detections, answer)
        sides = np.asarray((image.shape[1], image.shape[0]) * 2) if sample.fractions else 1.0
        truth = Truth(sample.truth.boxes * sides, sample.truth.class_ids, sample.truth.crowd)
        matched.append(match(result.boxes, result.scores, result.class_ids, truth))
    return matched


def _text_figures(texts: Sequence[str]) -> Callable[[Answers, Answers], dict[str, Metric]]:
    def figures(wanted: Answers, got: Answers) -> dict[str, Metric]:
        right = same = 0
        for a, b, text in zip(wanted, got, texts, strict=True):
            read_text = _as(Text, b).text
            right += read_text.lower() == text.lower()
            same += _as(Text, a).text == read_text
        return {"words right": proportion(right, len(texts)), "agrees with float": proportion(same, len(texts))}

    return figures


def _rows(folder: Path) -> list[tuple[Path, dict[str, str]]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        return [(folder, row) for row in csv.DictReader(file)]
