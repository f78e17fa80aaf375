"""Heads that write boxes and class scores apart: the card's own layout, SSD, and the DETR family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from edgesdk_targets.decode.activation import activate
from edgesdk_targets.decode.heads.best_class import best_class
from edgesdk_targets.decode.heads.head import Candidates, Decode, Head, HeadSettings, corners
from edgesdk_targets.decode.outputs import check_labels, misfit, pick
from edgesdk_targets.decode.postprocess import Activation, Background, BoxFormat, BoxUnits
from edgesdk_targets.tensor import Array, TensorSpec

_BOX_NAMES = ("boxes", "pred_boxes", "bboxes", "locations", "box")
_SCORE_NAMES = ("scores", "logits", "pred_logits", "class_logits", "confidences", "classes", "score")


@dataclass(frozen=True, slots=True)
class _Layout:
    """How one head differs from the others; the card's block goes before each of these."""

    head: str
    expects: str
    activation: Activation
    background: Background
    box_format: BoxFormat
    box_units: BoxUnits


@dataclass(frozen=True, slots=True)
class _Bound:
    boxes: str
    scores: str
    activation: Activation
    classes: slice
    shift: int
    box_format: BoxFormat
    scale: Array | None
    threshold: float


def _bind(outputs: tuple[TensorSpec, ...], settings: HeadSettings, layout: _Layout) -> Decode:
    post = settings.postprocess
    error = misfit(f"Head '{layout.head}'", layout.expects, outputs)

    def is_boxes(spec: TensorSpec) -> bool:
        return len(spec.shape) == 3 and spec.shape[0] == 1 and spec.shape[2] == 4

    boxes = pick(outputs, "boxes", _BOX_NAMES, is_boxes, error, post)

    def is_scores(spec: TensorSpec) -> bool:
        return len(spec.shape) == 3 and spec.shape[:2] == boxes.shape[:2] and spec.name != boxes.name

    scores = pick(outputs, "scores", _SCORE_NAMES, is_scores, error, post)
    background = post.background or layout.background
    if background != "none" and scores.shape[2] < 2:
        raise error
    classes, shift = _without_background(background, scores.shape[2], settings.labels)
    bound = _Bound(
        boxes=boxes.name,
        scores=scores.name,
        activation=post.activation or layout.activation,
        classes=classes,
        shift=shift,
        box_format=post.box_format or layout.box_format,
        scale=settings.scale(layout.box_units),
        threshold=settings.threshold,
    )
    return partial(_decode, bound=bound)


def _without_background(background: Background, classes: int, labels: tuple[str, ...]) -> tuple[slice, int]:
    """Return which columns are objects, and what is added to a column's number to get its label's.

    Labels may hold a name for the background or not; without labels a class keeps the model's own number.
    """
    if background == "none":
        check_labels(labels, classes)
        return slice(0, classes), 0
    if labels and len(labels) != classes:
        check_labels(labels, classes - 1)
    if background == "last":
        return slice(0, classes - 1), 0
    return slice(1, classes), 0 if labels and len(labels) == classes - 1 else 1


def _decode(outputs: Mapping[str, Array], bound: _Bound) -> Candidates:
    scores = outputs[bound.scores][0]
    activation = bound.activation
    if activation == "softmax":  # the background takes its part before it is left out
        scores, activation = activate(scores, "softmax"), "none"
    keep, best, class_ids = best_class(scores[:, bound.classes], 1, bound.threshold, activation)
    if bound.shift:
        class_ids = class_ids + bound.shift
    return Candidates(corners(outputs[bound.boxes][0][keep], bound.box_format, bound.scale), best, class_ids)


def _head(
    name: str,
    about: str,
    expects: str,
    activation: Activation,
    background: Background,
    box_format: BoxFormat,
    box_units: BoxUnits,
    *,
    overlaps: bool,
) -> Head:
    layout = _Layout(name, expects, activation, background, box_format, box_units)
    return Head(about, expects, overlaps, partial(_bind, layout=layout))


BOXES_SCORES = _head(
    "boxes_scores",
    "the model card's own layout: corners in input pixels, one score a class",
    "boxes (1, N, 4) and scores (1, N, C)",
    "none",
    "none",
    "xyxy",
    "pixels",
    overlaps=True,
)
SSD = _head(
    "ssd",
    "SSD with its boxes decoded in the graph: corners as fractions, class 0 is the background",
    "boxes (1, N, 4) and scores (1, N, C) with C >= 2",
    "none",
    "first",
    "xyxy",
    "unit",
    overlaps=True,
)
DETR = _head(
    "detr",
    "DETR, YOLOS, Table Transformer (Hugging Face): softmax whose last class is 'no object'",
    "logits (1, Q, C+1) and pred_boxes (1, Q, 4)",
    "softmax",
    "last",
    "cxcywh",
    "unit",
    overlaps=False,
)
RTDETR = _head(
    "rtdetr",
    "RT-DETR, Deformable and Conditional DETR, D-FINE (Hugging Face): one sigmoid a class",
    "logits (1, Q, C) and pred_boxes (1, Q, 4)",
    "sigmoid",
    "none",
    "cxcywh",
    "unit",
    overlaps=False,
)
