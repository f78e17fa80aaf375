"""The figures that the assets' notes give for each model, measured through any way of answering a picture.

The answer comes from a callable, BGR picture in and result out, so that the same figures can be had from
plain PyTorch, from ONNX Runtime and from a bundle on any runtime.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from edgesdk_targets.results import Classification, Detections, Result, Text
from edgesdk_targets.tensor import Array

Answer = Callable[[Array], Result]
R = TypeVar("R", Classification, Detections, Text)

# Photographs that show one of CIFAR-10's classes, and its index.
CIFAR_PHOTOGRAPHS = {"cat.bmp": 3, "cat_test_0.bmp": 3, "bird.bmp": 2}


@dataclass(frozen=True, slots=True)
class Truth:
    """The labelled objects of one picture: boxes (N,4) xyxy in pixels, classes (N,)."""

    boxes: Array
    class_ids: Array


def measure(name: str, assets: Path, answer: Answer) -> dict[str, float]:
    """Return the figures of the case `name` on its pictures; AP50 in percent, else counts."""
    return _MEASURES[name](assets, answer)


def picture(path: Path) -> Array:
    """Read a picture to (H,W,3) uint8 BGR."""
    image: Array | None = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert image is not None, f"{path} cannot be read"
    return image


def ap50(found: list[Detections], truths: list[Truth]) -> float:
    """Return the mean AP at IoU 0.5, in percent, over the classes present, interpolated as COCO's tool does.

    Precision is made monotonous and read at 101 recalls (0, 0.01 … 1); recalls that are not reached count 0.
    Of all detections of a class over all pictures, best score first, each takes the free object of its
    picture that it overlaps most.
    """
    classes = sorted({int(c) for truth in truths for c in truth.class_ids})
    return 100 * float(np.mean([_class_ap(found, truths, class_id) for class_id in classes]))


def overlaps(boxes: Array, others: Array) -> Array:
    """Return the intersection over union of (N,4) and (M,4) boxes: (N,M)."""
    start = np.maximum(boxes[:, None, :2], others[None, :, :2])
    end = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(end - start, 0, None).prod(2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    other_areas = (others[:, 2:] - others[:, :2]).prod(1)
    union = areas[:, None] + other_areas[None] - shared
    result: Array = shared / np.maximum(union, 1e-9)
    return result


def coco_truth(assets: Path) -> list[tuple[Path, Truth]]:
    """Return the labelled COCO pictures, by name."""
    return [(path, _yolo_truth(path)) for path in sorted((assets / "detection_coco/images").glob("*.jpg"))]


def _yolo_truth(path: Path) -> Truth:
    height, width = picture(path).shape[:2]
    lines = (path.parents[1] / "labels" / f"{path.stem}.txt").read_text("utf-8").splitlines()
    rows = np.array([line.split() for line in lines], np.float64).reshape(-1, 5)
    centre, half = rows[:, 1:3], rows[:, 3:5] / 2
    boxes = np.concatenate((centre - half, centre + half), 1) * [width, height, width, height]
    return Truth(boxes, rows[:, 0].astype(np.int64))


def _class_ap(found: list[Detections], truths: list[Truth], class_id: int) -> float:
    hits: list[tuple[float, bool]] = []
    objects = 0
    for result, truth in zip(found, truths, strict=True):
        wanted = truth.boxes[truth.class_ids == class_id]
        chosen = result.class_ids == class_id
        objects += len(wanted)
        hits += _hits(result.boxes[chosen], result.scores[chosen], wanted)
    hits.sort(key=lambda hit: -hit[0])
    right = np.cumsum([hit for _, hit in hits])
    precision = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(right / objects, np.linspace(0, 1, 101), side="left")
    return float(np.append(precision, 0.0)[at].mean())


def _hits(boxes: Array, scores: Array, wanted: Array) -> list[tuple[float, bool]]:
    """Say of each box of one class in one picture whether it is right."""
    overlap = overlaps(boxes.astype(np.float64), wanted)
    hits = []
    for index in np.argsort(-scores, kind="stable"):
        best = int(overlap[index].argmax()) if wanted.size else -1
        hit = best >= 0 and bool(overlap[index, best] >= 0.5)
        if hit:
            overlap[:, best] = -1
        hits.append((float(scores[index]), hit))
    return hits


def _coco(assets: Path, answer: Answer) -> dict[str, float]:
    pictures = coco_truth(assets)
    found = [_as(Detections, answer(picture(path))) for path, _ in pictures]
    return {"ap50": ap50(found, [truth for _, truth in pictures])}


def _faces(assets: Path, answer: Answer) -> dict[str, float]:
    folder = assets / "face/images"
    rows = _rows(folder / "counts.csv")
    counts = [len(_as(Detections, answer(picture(folder / row["file"])))) for row in rows]
    right = sum(count == int(row["faces"]) for count, row in zip(counts, rows, strict=True))
    return {"right_counts": right, "faces": sum(counts)}


def _imagenet(assets: Path, answer: Answer) -> dict[str, float]:
    folder = assets / "classification/images"
    right = 0
    for row in _rows(folder / "labels.csv"):
        accepted = {int(i) + 1 for i in row["accepted_imagenet_ids_0based"].split(";")}
        right += _top(answer, folder / row["file"]) in accepted
    return {"right": right}


def _persons(assets: Path, answer: Answer) -> dict[str, float]:
    folder = assets / "detection_coco"
    rows = _rows(folder / "person_labels.csv")
    return {"right": sum(_top(answer, folder / "images" / row["file"]) == int(row["person"]) for row in rows)}


def _cifar(assets: Path, answer: Answer) -> dict[str, float]:
    folder = assets / "classification/images"
    return {"right": sum(_top(answer, folder / file) == wanted for file, wanted in CIFAR_PHOTOGRAPHS.items())}


def _words(assets: Path, answer: Answer) -> dict[str, float]:
    figures = {"print_words": 0.0, "print_words_without_stops": 0.0, "scene_words": 0.0, "as_reference": 0.0}
    for kind in ("print", "scene"):
        folder = assets / "crnn" / f"words_{kind}"
        for row in _rows(folder / "labels.csv"):
            read = _as(Text, answer(picture(folder / row["file"]))).text
            figures["as_reference"] += read == row["text_read_by_reference"]
            figures[f"{kind}_words"] += read.lower() == row["text"].lower()
            if kind == "print":
                same = read.lower().replace(".", "") == row["text"].lower().replace(".", "")
                figures["print_words_without_stops"] += same
    return figures


def _top(answer: Answer, path: Path) -> int:
    return int(_as(Classification, answer(picture(path))).class_ids[0])


def _as(kind: type[R], result: Result) -> R:
    assert isinstance(result, kind), f"a {type(result).__name__} is no {kind.__name__}"
    return result


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


_MEASURES: dict[str, Callable[[Path, Answer], dict[str, float]]] = {
    "fastestdet": _coco,
    "ultraface": _faces,
    "mobilenet_v2": _imagenet,
    "vww_mobilenet_v1": _persons,
    "resnet20": _cifar,
    "crnn_reader": _words,
}
