"""Answer a picture with OpenCV, numpy and the model alone: the yardstick for everything else.

Nothing here is the product's: preprocessing, decoding and suppression are written again, in their
plainest form, so that a fault of the product cannot hide on both sides of a comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from real_models import card_text
from real_scores import Answer, overlaps

from edgesdk_targets.results import Classification, Detections, Result, Text
from edgesdk_targets.tensor import Array

Outputs = tuple[Array, ...]
Run = Callable[[Array], Outputs]
# All detections that count for AP; a card's own threshold is for showing.
EVERY_SCORE = 0.001

_RESIZE = {
    "linear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "nearest": cv2.INTER_NEAREST,
    "cubic": cv2.INTER_CUBIC,
}


def reference(name: str, assets: Path, run: Run, *, interpolation: str | None = None) -> Answer:
    """Return what answers pictures as the card of the case `name` says.

    Args:
        run: the model, (1,C,H,W) float32 in, its outputs as the task asks for them out.
        interpolation: another than the card's.
    """
    card = yaml.safe_load(card_text(name, assets))
    if interpolation:
        card["preprocess"]["interpolation"] = interpolation
    decode = _DECODERS[card["task"]]

    def answer(image: Array) -> Result:
        outputs = run(network_input(image, card["preprocess"]))
        return decode(outputs, image.shape[:2], card)

    return answer


def network_input(image: Array, spec: Mapping[str, Any]) -> Array:
    """Turn a (H,W,3) uint8 BGR picture into (1,C,h,w) float32."""
    height, width = spec["size"]
    if spec["resize"] == "center_crop":
        # Resize first, then crop: the other order from the product's, as the models' authors do it.
        scale = height / spec["crop_fraction"] / min(image.shape[:2])
        image = _resized(image, round(image.shape[0] * scale), round(image.shape[1] * scale), spec)
        top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
        image = image[top : top + height, left : left + width]
    else:
        image = _resized(image, height, width, spec)
    if spec["color"] == "gray":
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None]
    elif spec["color"] == "rgb":
        image = image[:, :, ::-1]
    mean, std = (np.array(spec[key], np.float32) for key in ("mean", "std"))
    pixels = (image.astype(np.float32) - mean) / std
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


def fastestdet_grid(output: Array) -> tuple[Array, Array]:
    """Decode the authors' (1,85,22,22) map: boxes (1,484,4) xyxy in input pixels, scores (1,484,80)."""
    cells = output[0].reshape(85, -1)
    rows, columns = np.divmod(np.arange(22 * 22), 22)
    x, y = (np.tanh(cells[1]) + columns) / 22, (np.tanh(cells[2]) + rows) / 22
    width, height = 1 / (1 + np.exp(-cells[3])), 1 / (1 + np.exp(-cells[4]))
    boxes = np.stack((x - width / 2, y - height / 2, x + width / 2, y + height / 2), 1) * 352
    scores = cells[:1] ** 0.6 * cells[5:] ** 0.4
    return boxes[None], scores.T[None]


def ultraface_rows(scores: Array, boxes: Array) -> tuple[Array, Array]:
    """Turn scores (1,4420,2) and boxes in 0..1 into boxes in input pixels and face scores (1,4420,1)."""
    return boxes * np.array([320, 240, 320, 240], np.float32), scores[..., 1:]


def _resized(image: Array, height: int, width: int, spec: Mapping[str, Any]) -> Array:
    resized: Array = cv2.resize(image, (width, height), interpolation=_RESIZE[spec["interpolation"]])
    return resized


def _classification(outputs: Outputs, size: tuple[int, int], card: Mapping[str, Any]) -> Classification:
    order = np.argsort(-outputs[0][0], kind="stable")
    return Classification(order.astype(np.int64), outputs[0][0][order])


def _detections(outputs: Outputs, size: tuple[int, int], card: Mapping[str, Any]) -> Detections:
    """Give each row its best class, drop low scores, and suppress class by class."""
    rule = card["postprocess"]
    threshold = EVERY_SCORE if card["name"] == "fastestdet" else rule["score_threshold"]
    boxes, scores, class_ids = outputs[0][0], outputs[1][0].max(1), outputs[1][0].argmax(1)
    height, width = card["preprocess"]["size"]
    boxes = boxes * np.array([size[1] / width, size[0] / height] * 2, np.float32)
    kept: list[int] = []
    for class_id in np.unique(class_ids[scores >= threshold]):
        rows = np.flatnonzero((class_ids == class_id) & (scores >= threshold))
        kept += _suppress(boxes, scores, rows, rule["iou_threshold"])
    order = sorted(kept, key=lambda index: -scores[index])
    return Detections(boxes[order], scores[order], class_ids[order])


def _suppress(boxes: Array, scores: Array, rows: Array, limit: float) -> list[int]:
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    kept = []
    while rows.size:
        kept.append(int(rows[0]))
        rest = rows[1:]
        rows = rest[overlaps(boxes[rows[:1]], boxes[rest])[0] <= limit]
    return kept


def _text(outputs: Outputs, size: tuple[int, int], card: Mapping[str, Any]) -> Text:
    """Take the best class of each step, once for each run of it, without the blank (index 0)."""
    steps = [0, *outputs[0][0].argmax(1).tolist()]
    read = [now for before, now in pairwise(steps) if now not in {0, before}]
    return Text("".join(card["labels"][index - 1] for index in read), 1.0)


_DECODERS: dict[str, Callable[[Outputs, tuple[int, int], Mapping[str, Any]], Result]] = {
    "classify": _classification,
    "detect": _detections,
    "text": _text,
}
