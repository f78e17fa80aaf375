"""Follow objects from frame to frame, after Y. Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every
Detection Box", ECCV 2022.

Detections look for their objects in this order, each round among what the ones before left:

1. strong detections, by overlap with where each object is expected;
2. weak ones, for objects that were seen in the frame before: behind others a detector is unsure, and rightly so;
3. strong ones, by overlap with what was seen once and is not known to be an object yet;
4. strong ones, by the distance that an object can have gone in the time that passed: with few or dropped frames what is
   fast does not overlap with itself. An object that was seen once may have gone anywhere near.

Strong detections that are left are new. Time is that of the frames: a tracker knows no frame rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesdk_agent.tracking.assignment import assign
from edgesdk_agent.tracking.known import Known
from edgesdk_agent.tracking.overlap import overlaps
from edgesdk_agent.tracking.settings import TrackerSettings
from edgesdk_agent.tracking.tracks import Tracks, nothing_tracked
from edgesdk_targets.results import Detections
from edgesdk_targets.tensor import Array

# The least overlap, times the detection's score, by which objects and what may become one are recognised; and the least
# overlap of weak detections.
_STRONG = 0.2
_YOUNG = 0.3
_WEAK = 0.5
# The squared Mahalanobis distance within which three quarters of right measurements lie, with four degrees of freedom:
# further off, a wrong one is likelier (found on sequences that no test or benchmark uses).
_REACH = 5.39
# A detection that covers an object that was seen already is that object once more, under another class.
_THE_SAME = 0.7
# A class is outvoted after so many sure detections of another one at most.
_MOST_VOTES = 10.0


class Tracker:
    """Follow the objects of one camera.

        tracker = edgesdk.Tracker()
        for result in edgesdk.Pipeline(model, "video.mp4"):
            tracks = tracker.update(result.result, at=result.captured_at)

    Args:
        settings: fields of `TrackerSettings`, such as `lost_s=2`.

    Raises:
        InputError: one of them is unknown or wrong.
    """

    def __init__(self, **settings: Any) -> None:
        self.settings = TrackerSettings.checked(settings, "A tracker")
        self._next_id = 1
        self._at: float | None = None
        self._known = Known.nobody()

    def reset(self) -> None:
        """Forget all objects, as when another scene begins; their numbers are not used again."""
        self._known = Known.nobody()
        self._at = None

    def update(self, detections: Detections, at: float) -> Tracks:
        """Take in one frame, and return what is followed after it.

        Args:
            detections: of the frame; those below the model's threshold, `detections.weak`, may continue objects too.
            at: its time, seconds of any clock that goes forward. A clock that was set back begins a new scene.
        """
        gone = self._let_time_pass(at)
        reported, detections = len(detections), _with_weak(detections)
        scores, classes = detections.scores, detections.class_ids
        found = self._find_objects(detections, at)
        new_score = self.settings.high_score if self.settings.new_score is None else self.settings.new_score
        new = np.flatnonzero((found < 0) & (scores >= new_score))
        # What was seen once and not again was no object.
        kept = np.flatnonzero((self._known.ids > 0) | (self._known.seen_at == at))
        if len(kept) < len(self._known.ids):
            place = np.full(len(self._known.ids), -1)
            place[kept] = np.arange(len(kept))
            found = np.where(found >= 0, place[found], -1) if len(place) else found
            self._known = self._known.keep(kept)
        if len(new):
            new = self._apart_from_objects(new, detections.boxes, at)
            found[new] = len(self._known.ids) + np.arange(len(new))
            self._known = self._known.joined(Known.of(detections.boxes[new], scores[new], classes[new], at))
        self._confirm(at)
        self._at = at
        return self._tracks(at, found[:reported], gone, detections.names)

    def _let_time_pass(self, at: float) -> tuple[int, ...]:
        """Expect the objects where they are by now; return those that were not seen for too long."""
        if self._at is not None and at < self._at:
            gone = tuple(self._known.ids[self._known.ids > 0].tolist())
            self.reset()
            return gone
        if not len(self._known.ids):
            return ()
        late = at - self._known.seen_at > self.settings.lost_s
        gone = tuple(self._known.ids[late & (self._known.ids > 0)].tolist()) if late.any() else ()
        if late.any():
            self._known = self._known.keep(~late)
        if self._at is not None:
            self._known.motion.predict(at - self._at)
        return gone

    def _find_objects(self, detections: Detections, at: float) -> Array:
        """Return the row of the object of each detection, (D,) int64, -1 for none; the objects take them in."""
        known = self._known
        found = np.full(len(detections), -1)
        if not len(known.ids) or not len(detections):
            return found
        scores, classes, boxes = detections.scores, detections.class_ids, detections.boxes
        alike = overlaps(known.motion.boxes(), boxes)
        other_class = known.classes[:, None] != classes[None, :]
        alike[other_class] *= self.settings.across_classes
        strong, weak = scores >= self.settings.high_score, scores >= self.settings.low_score
        likely = alike * scores[None, :]
        objects = known.ids > 0
        free = np.ones(len(known.ids), bool)

        def pair(rows: Array, columns: Array, cost: Array, limit: float) -> None:
            rows, columns = np.flatnonzero(rows & free), np.flatnonzero(columns & (found < 0))
            if len(rows) and len(columns):
                paired, by = assign(cost[rows[:, None], columns], limit)
                found[columns[by]] = rows[paired]
                free[rows[paired]] = False

        pair(objects, strong, 1.0 - likely, 1.0 - _STRONG)
        seen_before = objects & (known.seen_at == self._at)
        pair(seen_before, weak & ~strong, 1.0 - alike, 1.0 - _WEAK)
        pair(~objects, strong, 1.0 - likely, 1.0 - _YOUNG)
        if free.any() and (strong & (found < 0)).any():
            far = known.motion.distances(np.arange(len(free)), boxes)
            # Being somewhere near says too little to see another class in it.
            far[other_class] = _REACH
            pair(free, strong, far, _REACH)
        self._take_in(found, detections, at)
        return found

    def _take_in(self, found: Array, detections: Detections, at: float) -> None:
        known = self._known
        which = np.flatnonzero(found >= 0)
        rows = found[which]
        scores, classes = detections.scores[which], detections.class_ids[which]
        known.motion.correct(rows, detections.boxes[which])
        known.seen_at[rows] = at
        known.hits[rows] += 1
        known.scores[rows] = scores
        # The majority in one pass: a class keeps the votes by which it leads, and is replaced when they are used up.
        votes = known.votes[rows] + np.where(classes == known.classes[rows], scores, -scores)
        outvoted = votes < 0
        known.classes[rows] = np.where(outvoted, classes, known.classes[rows])
        known.votes[rows] = np.minimum(np.abs(votes), _MOST_VOTES)

    def _apart_from_objects(self, new: Array, boxes: Array, at: float) -> Array:
        seen = np.flatnonzero(self._known.seen_at == at)
        if not len(seen):
            return new
        covered = overlaps(self._known.motion.boxes()[seen], boxes[new]).max(axis=0)
        apart: Array = new[covered < _THE_SAME]
        return apart

    def _confirm(self, at: float) -> None:
        known = self._known
        needed = 1 if self._at is None else self.settings.confirm_frames
        ready = np.flatnonzero((known.ids == 0) & (known.hits >= needed) & (known.seen_at == at))
        known.ids[ready] = self._next_id + np.arange(len(ready))
        self._next_id += len(ready)

    def _tracks(self, at: float, found: Array, gone: tuple[int, ...], names: tuple[str, ...]) -> Tracks:
        known = self._known
        if not len(known.ids):
            return nothing_tracked(at, len(found), gone)
        rows = np.flatnonzero(known.ids > 0)
        return Tracks(
            at=at,
            ids=known.ids[rows],
            boxes=known.motion.boxes()[rows],
            scores=known.scores[rows],
            class_ids=known.classes[rows],
            seen=known.seen_at[rows] == at,
            seen_at=known.seen_at[rows],
            born_at=known.born_at[rows],
            born_boxes=known.born_boxes[rows],
            detection_ids=np.where(found >= 0, known.ids[found], 0),
            ended=gone,
            names=names,
        )


def _with_weak(detections: Detections) -> Detections:
    """Return detections and those below the model's threshold behind them."""
    weak = detections.weak
    if weak is None or not len(weak):
        return detections
    return Detections(
        np.concatenate([detections.boxes, weak.boxes]),
        np.concatenate([detections.scores, weak.scores]),
        np.concatenate([detections.class_ids, weak.class_ids]),
        detections.names,
    )
