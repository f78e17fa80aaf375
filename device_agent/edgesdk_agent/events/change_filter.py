"""Which results say something new: the others need not be reported.

Of objects: one came, went, became something else, or moved by a part of its size since the last report. Of labels and
texts: another answer than the one reported, twice in a row. Vectors and numbers always are something new.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgesdk_targets.results import Chained, Classification, Detections, Result, Text
from edgesdk_targets.tensor import Array


@dataclass(slots=True)
class _Reported:
    """What was reported last: when, which objects of which classes, where, how large; or which answer."""

    at: float
    objects: Array
    centres: Array
    sizes: Array
    answer: str = ""


class ChangeFilter:
    """Decide for one camera.

    Args:
        moved: an object that went so far, in parts of its size, is something new.
        silence_s: a result is reported after so long, though nothing changed.

    Attributes:
        unchanged: results that said nothing new.
    """

    def __init__(self, moved: float, silence_s: float) -> None:
        self._moved = moved
        self._silence_s = silence_s
        self._reported: _Reported | None = None
        self._answer_before = ""
        self.unchanged = 0

    def take_numbers(self, moved: float, silence_s: float) -> None:
        """Go by other numbers from now on."""
        self._moved, self._silence_s = moved, silence_s

    def is_news(self, result: Result, at: float) -> bool:
        """Tell whether to report a result; `at` in seconds of a clock that goes forward."""
        now = self._state(result, at)
        if now is None:
            return True
        before = self._reported
        if before is not None and 0 <= at - before.at < self._silence_s and not self._differs(before, now):
            self.unchanged += 1
            return False
        self._reported = now
        return True

    def _state(self, result: Result, at: float) -> _Reported | None:
        found = result.detections if isinstance(result, Chained) else result
        if isinstance(found, Detections):
            # What is no object yet comes and goes; without a tracker every detection counts.
            tracked = found.track_ids
            rows = np.arange(len(found)) if tracked is None else np.flatnonzero(tracked > 0)
            if tracked is not None:
                rows = rows[np.argsort(tracked[rows], kind="stable")]
            boxes = found.boxes[rows].astype(np.float64)
            numbers = rows if tracked is None else tracked[rows]
            objects = np.stack([numbers, found.class_ids[rows]])
            return _Reported(at, objects, boxes[:, :2] + boxes[:, 2:], (boxes[:, 2:] - boxes[:, :2]).sum(axis=1))
        none = np.empty(0)
        if isinstance(found, (Classification, Text)):
            answer = found.label if isinstance(found, Classification) else found.text
            steady, self._answer_before = answer == self._answer_before, answer
            # An answer that is given once does not replace the one that stands.
            stands = answer if steady or self._reported is None else self._reported.answer
            return _Reported(at, none, none, none, stands)
        return None

    def _differs(self, before: _Reported, now: _Reported) -> bool:
        if before.answer != now.answer or not np.array_equal(before.objects, now.objects):
            return True
        if not now.sizes.size:
            return False
        # Twice the way of the centre, against twice the mean of width and height.
        way = np.hypot(*(now.centres - before.centres).T)
        return bool((way > self._moved * before.sizes).any())
