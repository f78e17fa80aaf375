"""torchvision's detectors (Faster R-CNN, RetinaNet, FCOS, SSD): boxes, labels and scores, already suppressed.

Their class numbers start at 1: number 0 is the background, which torchvision's own lists of names hold as the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from edgesdk_targets.decode.heads.head import Candidates, Decode, Head, HeadSettings, corners
from edgesdk_targets.decode.outputs import misfit, pick
from edgesdk_targets.tensor import Array, TensorSpec

_BACKGROUND = frozenset({"background", "bg"})


def _bind(outputs: tuple[TensorSpec, ...], settings: HeadSettings) -> Decode:
    error = misfit("Head 'torchvision'", TORCHVISION.expects, outputs)
    post = settings.postprocess

    def is_boxes(spec: TensorSpec) -> bool:
        return _without_batch(spec)[1:] == (4,)

    boxes = pick(outputs, "boxes", ("boxes",), is_boxes, error, post)

    def is_line(spec: TensorSpec) -> bool:
        return _without_batch(spec) == _without_batch(boxes)[:1]

    lines = [spec for spec in outputs if is_line(spec)]
    whole = tuple(spec for spec in lines if spec.dtype in {"int64", "int32"}) or tuple(lines)
    labels = pick(whole, "labels", ("labels",), is_line, error, post)
    rest = tuple(spec for spec in lines if spec.name != labels.name)
    scores = pick(rest, "scores", ("scores",), is_line, error, post)
    names = (boxes.name, labels.name, scores.name)
    shift = -1 if _counts_from_one(settings) else 0
    scale = settings.scale("pixels")
    return partial(_decode, names=names, shift=shift, settings=settings, scale=scale)


def _without_batch(spec: TensorSpec) -> tuple[int, ...]:
    """Return (N, 4) or (N,): torchvision writes no batch dimension, other exporters put a 1 before."""
    shape = spec.shape
    return shape[1:] if len(shape) > 1 and shape[0] == 1 and shape[1:] != (4,) else shape


def _counts_from_one(settings: HeadSettings) -> bool:
    if not settings.labels or settings.postprocess.background == "none":
        return False
    return settings.labels[0].strip("_ ").lower() not in _BACKGROUND


def _decode(
    outputs: Mapping[str, Array],
    names: tuple[str, str, str],
    shift: int,
    settings: HeadSettings,
    scale: Array | None,
) -> Candidates:
    boxes, labels, scores = (outputs[name] for name in names)
    scores = scores.reshape(-1)
    keep = np.flatnonzero(scores >= np.float32(settings.threshold))
    class_ids = labels.reshape(-1)[keep].astype(np.int64) + shift
    box_format = settings.postprocess.box_format or "xyxy"
    kept = corners(boxes.reshape(-1, 4)[keep], box_format, scale)
    return Candidates(kept, scores[keep].astype(np.float32), class_ids)


TORCHVISION = Head(
    about="torchvision's detectors as torch.onnx exports them: suppressed inside the graph, classes from 1",
    expects="boxes (N, 4), labels (N) and scores (N)",
    overlaps=False,
    bind=_bind,
)
