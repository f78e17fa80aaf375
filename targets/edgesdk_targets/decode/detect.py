"""Detection: a head's candidates, suppressed where they overlap, in pixels of the original image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgesdk_targets.decode.heads.head import Candidates, HeadSettings
from edgesdk_targets.decode.heads.registry import head_named
from edgesdk_targets.decode.nms import class_wise_nms
from edgesdk_targets.preprocess.geometry import Geometry
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array, TensorSpec


class DetectDecoder:
    """Decode a detector's outputs.

    Raises:
        InputError: there is no such head, or the outputs are not its layout.
    """

    def __init__(self, settings: HeadSettings, outputs: tuple[TensorSpec, ...]) -> None:
        head = head_named(settings.postprocess.head)
        self._settings, self._outputs = settings, outputs
        self._keeps_weak = False
        self._candidates = head.bind(outputs, settings)
        self._overlaps = head.overlaps
        self._post = settings.postprocess
        self._labels = settings.labels

    def keep_weak(self, score: float) -> None:
        """Give detections below the threshold too, from this score on, as `Detections.weak`; between two frames."""
        settings, threshold = self._settings, self._settings.threshold
        self._keeps_weak = score < threshold
        lower = settings.postprocess.model_copy(update={"score_threshold": min(score, threshold)})
        head = head_named(settings.postprocess.head)
        self._candidates = head.bind(self._outputs, replace(settings, postprocess=lower))

    def __call__(
        self, outputs: Mapping[str, Array], geometry: Geometry | None, _memory: dict[str, int] | None
    ) -> Detections:
        found = _finite(self._candidates(outputs))
        boxes, scores, class_ids = found.boxes, found.scores, found.class_ids
        limit = self._post.max_detections
        if self._overlaps:
            keep = class_wise_nms(boxes, scores, class_ids, self._post.iou_threshold, limit)
        else:
            keep = np.argsort(-scores, kind="stable")[:limit]
        boxes, scores, class_ids = boxes[keep], scores[keep], class_ids[keep]
        if geometry is not None:
            boxes = geometry.to_image(boxes)
        # A box that lies in the letterbox' border has nothing left inside the picture.
        inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        if not inside.all():
            boxes, scores, class_ids = boxes[inside], scores[inside], class_ids[inside]
        found_all = Detections(boxes, scores, class_ids, self._labels)
        return self._split(found_all) if self._keeps_weak else found_all

    def _split(self, found: Detections) -> Detections:
        """Set the weak apart. Suppression goes by score, so that the strong are those that are found without them."""
        strong = found.scores >= np.float32(self._settings.threshold)
        return replace(_rows(found, strong), weak=_rows(found, ~strong))


def _rows(found: Detections, which: Array) -> Detections:
    return Detections(found.boxes[which], found.scores[which], found.class_ids[which], found.names)


def _finite(found: Candidates) -> Candidates:
    """Drop boxes with infinite or undefined corners or scores: half precision that overflowed, not objects."""
    sound = np.isfinite(found.boxes).all(axis=1) & np.isfinite(found.scores)
    if sound.all():
        return found
    return Candidates(found.boxes[sound], found.scores[sound], found.class_ids[sound])
