"""What the parts of a model's outputs are: scores (and what makes probabilities of them), boxes (and their form)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgesdk_targets.bundle.manifest import Manifest
from edgesdk_targets.decode.activation import activation_of
from edgesdk_targets.decode.postprocess import Activation
from edgesdk_targets.tensor import TensorSpec

Kind = Literal["scores", "boxes", "other"]


@dataclass(frozen=True, slots=True)
class Part:
    """A run of channels of one output.

    Attributes:
        axis: of the channels, counted from the end; classes or box corners lie along it.
        channels: which of them.
        activation: what has still to be applied to scores.
        box_format: xyxy or cxcywh.
        box_units: pixels or unit (fractions).
    """

    name: str
    kind: Kind
    axis: int
    channels: slice
    activation: Activation = "none"
    box_format: str = "xyxy"
    box_units: str = "pixels"


# Head → activation of the scores, box format, box units, where the card says nothing else.
_HEADS: dict[str, tuple[Activation, str, str]] = {
    "boxes_scores": ("none", "xyxy", "pixels"),
    "ssd": ("none", "xyxy", "unit"),
    "detr": ("softmax", "cxcywh", "unit"),
    "rtdetr": ("sigmoid", "cxcywh", "unit"),
    "torchvision": ("none", "xyxy", "pixels"),
    "yolov8": ("none", "cxcywh", "pixels"),
    "yolov5": ("none", "cxcywh", "pixels"),
    "end2end": ("none", "xyxy", "pixels"),
    "fastestdet": ("none", "cxcywh", "unit"),
}
_FIXED = {"yolov8": 4, "yolov5": 5, "end2end": 6}


def parts_of(manifest: Manifest, output: TensorSpec) -> tuple[Part, ...]:
    """Return the parts of one output; what is not understood is one part of kind `other`."""
    post = manifest.postprocess
    every = slice(None)
    if manifest.task in {"classify", "text"}:
        return (Part(output.name, "scores", -1, every, activation_of(output.name, post.activation)),)
    if manifest.task != "detect":
        return (Part(output.name, "other", -1, every),)
    head = post.head or "boxes_scores"
    activation, box_format, units = _HEADS.get(head, _HEADS["boxes_scores"])
    activation = post.activation or activation
    box_format, units = post.box_format or box_format, post.box_units or units
    if head == "fastestdet":  # its box numbers are raw, and no boxes yet
        return (Part(output.name, "other", -3, every),)
    if head in _FIXED:
        axis = _table_axis(output, head, manifest.labels)
        boxes = Part("boxes", "boxes", axis, slice(0, 4), "none", box_format, units)
        return (boxes, Part("scores", "scores", axis, slice(4, None), activation))
    is_boxes = output.shape[-1] == 4 and "box" in output.name.lower()
    if is_boxes:
        return (Part(output.name, "boxes", -1, every, "none", box_format, units),)
    kind: Kind = "scores" if len(output.shape) == 3 else "other"
    return (Part(output.name, kind, -1, every, activation),)


def _table_axis(output: TensorSpec, head: str, labels: tuple[str, ...]) -> int:
    """Return the axis of a table that has the numbers of one box; the other one counts the boxes."""
    rows, columns = output.shape[-2:]
    numbers = _FIXED[head] + (len(labels) if head != "end2end" else 0)
    if (rows == numbers) != (columns == numbers):
        return -2 if rows == numbers else -1
    return -2 if (rows < columns if rows != columns else head == "yolov8") else -1
