"""Objects that nobody is to recognise: the boxes of some classes, made unrecognisable in the picture itself.

A box is averaged to a few cells and drawn large again. A blur by a kernel can be undone where the kernel is guessed;
averages of large cells hold nothing to undo. What was found a moment ago is hidden where it was, too: a detector that
misses a face in one frame of ten would show it ten times in a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

import numpy as np

from edgesdk_agent.frame import FrameResult
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.results import Chained, Classification, Detections
from edgesdk_targets.tensor import Array

# Cells across a box: a face of 6 x 6 averages is nobody's.
_CELLS = 6


class HiddenObjects:
    """Hide objects of one camera's pictures.

    Args:
        classes: names of the classes to hide; a detection counts by its own label, and by what a second model calls it.
        margin: of a box's size that is hidden around it.
        hold_s: how long a place stays hidden after nothing is found there.
    """

    def __init__(self, classes: Collection[str], *, margin: float = 0.1, hold_s: float = 0.5) -> None:
        self._classes = frozenset(classes)
        self._margin = margin
        self._hold_s = hold_s
        self._recent: deque[tuple[float, Array]] = deque()
        self._cells: Array = np.zeros((_CELLS, _CELLS, 3), np.uint8)

    def note(self, result: FrameResult) -> None:
        """Remember where the objects of a frame are; to be called for each result, in order."""
        boxes = self._boxes(result)
        now = result.captured_at
        while self._recent and now - self._recent[0][0] > self._hold_s:
            self._recent.popleft()
        if len(boxes):
            self._recent.append((now, boxes))

    def hide(self, image: Array) -> int:
        """Hide what was noted in (H, W, 3) uint8 BGR, in place, and return how many places that were."""
        hidden = 0
        for _, boxes in self._recent:
            for box in boxes:
                hidden += self._hide_one(image, box)
        return hidden

    def _boxes(self, result: FrameResult) -> Array:
        answer = result.result
        found = answer.detections if isinstance(answer, Chained) else answer
        if not isinstance(found, Detections):
            return np.zeros((0, 4), np.float32)
        names = [found.label(index) in self._classes for index in range(len(found))]
        if isinstance(answer, Chained):
            names = [own or self._says(then) for own, then in zip(names, answer.then, strict=True)]
        boxes: Array = found.boxes[np.array(names, bool)] if names else found.boxes
        return boxes

    def _says(self, answer: object) -> bool:
        return isinstance(answer, Classification) and len(answer.scores) > 0 and answer.label in self._classes

    def _hide_one(self, image: Array, box: Array) -> bool:
        height, width = image.shape[:2]
        if not np.isfinite(box).all():
            # Something is there, and nobody knows where: then it is everywhere.
            box = np.array([0, 0, width, height], np.float32)
        left, top, right, bottom = (float(value) for value in box)
        across, down = self._margin * (right - left), self._margin * (bottom - top)
        x1, y1 = max(0, int(left - across)), max(0, int(top - down))
        x2, y2 = min(width, int(np.ceil(right + across))), min(height, int(np.ceil(bottom + down)))
        if x1 >= x2 or y1 >= y2:
            return False
        place = image[y1:y2, x1:x2]
        cv2.resize(place, (_CELLS, _CELLS), dst=self._cells, interpolation=cv2.INTER_AREA)
        # Written row of cells by row of cells, into the picture: nothing of the box's size is made.
        for row in range(_CELLS):
            for column in range(_CELLS):
                y, x = row * (y2 - y1) // _CELLS, column * (x2 - x1) // _CELLS
                below, beside = (row + 1) * (y2 - y1) // _CELLS, (column + 1) * (x2 - x1) // _CELLS
                place[y:below, x:beside] = self._cells[row, column]
        return True
