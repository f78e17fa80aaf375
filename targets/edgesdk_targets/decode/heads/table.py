"""Heads that write one table, a line of numbers for each box: YOLO and its family.

YOLOv8 writes the table lying (a row for each number), the others standing (a row for each box). Where a tool has
turned it, the labels say so; without labels the exporter's own direction is taken, unless the table would then hold
more numbers than boxes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from edgesdk_targets.decode.heads.best_class import best_class
from edgesdk_targets.decode.heads.head import Candidates, Decode, Head, HeadSettings, corners
from edgesdk_targets.decode.outputs import check_labels, misfit, pick
from edgesdk_targets.errors import InputError
from edgesdk_targets.tensor import Array, TensorSpec

_NAMES = ("output0", "output", "detections", "predictions")


def _find(outputs: tuple[TensorSpec, ...], settings: HeadSettings, error: InputError, least: int) -> TensorSpec:
    def is_table(spec: TensorSpec) -> bool:
        return len(spec.shape) == 3 and spec.shape[0] == 1 and max(spec.shape) >= least

    return pick(outputs, "table", _NAMES, is_table, error, settings.postprocess)


def _lies(shape: tuple[int, ...], fixed: int, labels: tuple[str, ...], usually: bool) -> bool:
    """Say whether the table has a row for each number instead of a row for each box."""
    rows, columns = shape[1], shape[2]
    numbers = fixed + len(labels)
    if labels and (rows == numbers) != (columns == numbers):
        return rows == numbers
    if rows != columns and (rows < columns) != usually and min(rows, columns) > fixed:
        return rows < columns
    return usually


def _number_of_classes(spec: TensorSpec, lies: bool, fixed: int, settings: HeadSettings, error: InputError) -> int:
    classes = (spec.shape[1] if lies else spec.shape[2]) - fixed
    if classes < 1:
        raise error
    check_labels(settings.labels, classes)
    return classes


def _bind_yolov8(outputs: tuple[TensorSpec, ...], settings: HeadSettings) -> Decode:
    error = misfit("Head 'yolov8'", YOLOV8.expects, outputs)
    spec = _find(outputs, settings, error, 5)
    lies = _lies(spec.shape, 4, settings.labels, usually=True)
    _number_of_classes(spec, lies, 4, settings, error)
    return partial(_yolov8, name=spec.name, lies=lies, settings=settings, scale=settings.scale("pixels"))


def _yolov8(
    outputs: Mapping[str, Array], name: str, lies: bool, settings: HeadSettings, scale: Array | None
) -> Candidates:
    table = outputs[name][0]
    post = settings.postprocess
    scores = table[4:] if lies else table[:, 4:]
    keep, best, class_ids = best_class(scores, 0 if lies else 1, settings.threshold, post.activation or "none")
    boxes = table[:4, keep].T if lies else table[keep, :4]
    return Candidates(corners(boxes, post.box_format or "cxcywh", scale), best, class_ids)


def _bind_yolov5(outputs: tuple[TensorSpec, ...], settings: HeadSettings) -> Decode:
    error = misfit("Head 'yolov5'", YOLOV5.expects, outputs)
    spec = _find(outputs, settings, error, 6)
    lies = _lies(spec.shape, 5, settings.labels, usually=False)
    _number_of_classes(spec, lies, 5, settings, error)
    return partial(_yolov5, name=spec.name, lies=lies, settings=settings, scale=settings.scale("pixels"))


def _yolov5(
    outputs: Mapping[str, Array], name: str, lies: bool, settings: HeadSettings, scale: Array | None
) -> Candidates:
    table = outputs[name][0].T if lies else outputs[name][0]
    # A score is objectness * class <= objectness: most boxes go without a look at their classes.
    rows = table[np.flatnonzero(table[:, 4] >= np.float32(settings.threshold))]
    scores = rows[:, 5:] * rows[:, 4:5]
    keep, best, class_ids = best_class(scores, 1, settings.threshold, "none")
    boxes = corners(rows[keep, :4], settings.postprocess.box_format or "cxcywh", scale)
    return Candidates(boxes, best, class_ids)


def _bind_end2end(outputs: tuple[TensorSpec, ...], settings: HeadSettings) -> Decode:
    error = misfit("Head 'end2end'", END2END.expects, outputs)
    spec = _find(outputs, settings, error, 6)
    if 6 not in spec.shape[1:]:
        raise error
    lies = spec.shape[2] != 6
    return partial(_end2end, name=spec.name, lies=lies, settings=settings, scale=settings.scale("pixels"))


def _end2end(
    outputs: Mapping[str, Array], name: str, lies: bool, settings: HeadSettings, scale: Array | None
) -> Candidates:
    table = outputs[name][0].T if lies else outputs[name][0]
    rows = table[np.flatnonzero(table[:, 4] >= np.float32(settings.threshold))]
    rows = rows[np.isfinite(rows[:, 5])]
    boxes = corners(rows[:, :4], settings.postprocess.box_format or "xyxy", scale)
    return Candidates(boxes, rows[:, 4].astype(np.float32), np.rint(rows[:, 5]).astype(np.int64))


YOLOV8 = Head(
    about="Ultralytics YOLOv8, YOLO11 and later: centre, size, one score a class",
    expects="one output (1, 4+C, N)",
    overlaps=True,
    bind=_bind_yolov8,
)
YOLOV5 = Head(
    about="YOLOv5, YOLOv7 and decoded YOLOX: centre, size, objectness, one score a class",
    expects="one output (1, N, 5+C)",
    overlaps=True,
    bind=_bind_yolov5,
)
END2END = Head(
    about="detectors that suppress inside the graph (YOLOv10, YOLO26, exports with NMS): corners, score, class",
    expects="one output (1, N, 6)",
    overlaps=False,
    bind=_bind_end2end,
)
