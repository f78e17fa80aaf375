"""Draw a result onto its picture, in place."""

from __future__ import annotations

import numpy as np

from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.results import Chained, Classification, Detections, Embedding, Regression, Result, Text, name_of
from edgesdk_targets.tensor import Array

# Colours (BGR) that stay apart on dark and light pictures, taken by class in turn.
_PALETTE = (
    (86, 180, 233)[::-1],
    (230, 159, 0)[::-1],
    (0, 158, 115)[::-1],
    (240, 228, 66)[::-1],
    (0, 114, 178)[::-1],
    (213, 94, 0)[::-1],
    (204, 121, 167)[::-1],
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_result(image: Array, result: Result) -> None:
    """Draw boxes, labels or text onto (H, W, 3) uint8 BGR, which must be writable."""
    if isinstance(result, Detections):
        _draw_boxes(image, result, describe(result))
    elif isinstance(result, Chained):
        _draw_boxes(image, result.detections, describe(result))
    else:
        for row, line in enumerate(describe(result)):
            _draw_label(image, line, 6, 6 + row * _line_height(image), _PALETTE[0])


def describe(result: Result) -> list[str]:
    """Return a result as lines for people."""
    if isinstance(result, Detections):
        return [f"{result.label(i)} {result.scores[i]:.2f}" for i in range(len(result))] or ["nothing"]
    if isinstance(result, Chained):
        lines = zip(describe(result.detections), result.then, strict=False)
        return [line if answer is None else f"{line}: {describe(answer)[0]}" for line, answer in lines] or ["nothing"]
    if isinstance(result, Classification):
        pairs = zip(result.class_ids[:3], result.scores[:3], strict=True)
        return [f"{name_of(int(i), result.names)} {score:.2f}" for i, score in pairs]
    if isinstance(result, Text):
        return [f"{result.text!r} {result.confidence:.2f}"]
    if isinstance(result, Embedding):
        return [f"embedding of {len(result.vector)}, norm {float(np.linalg.norm(result.vector)):.3f}"]
    assert isinstance(result, Regression)  # noqa: S101  (the union has no other member)
    return [f"{name_of(i, result.names)} {value:.3f}" for i, value in enumerate(result.values)]


def _draw_boxes(image: Array, result: Detections, texts: list[str]) -> None:
    height, width = image.shape[:2]
    thickness = max(1, round(min(height, width) / 240))
    # A box that reaches out on all sides would not be seen at all.
    seen = np.clip(result.boxes, 0, (width - 1, height - 1, width - 1, height - 1))
    for index, box in enumerate(seen):
        colour = _PALETTE[int(result.class_ids[index]) % len(_PALETTE)]
        left, top, right, bottom = (round(float(v)) for v in box)
        cv2.rectangle(image, (left, top), (right, bottom), colour, thickness)
        _draw_label(image, texts[index], left, max(0, top - _line_height(image)), colour)


def _draw_label(image: Array, text: str, left: int, top: int, colour: tuple[int, ...]) -> None:
    scale = max(0.35, min(image.shape[:2]) / 900)
    (width, height), base = cv2.getTextSize(text, _FONT, scale, 1)
    left = max(0, min(left, image.shape[1] - width - 5))
    cv2.rectangle(image, (left, top), (left + width + 4, top + height + base + 2), colour, cv2.FILLED)
    cv2.putText(image, text, (left + 2, top + height + 1), _FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _line_height(image: Array) -> int:
    scale: float = max(0.8, min(image.shape[:2]) / 480)
    return round(14 * scale)
