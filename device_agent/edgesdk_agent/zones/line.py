"""A line in the picture, and who crosses it in which direction.

An object is on a side when it is further from the line than a part of its own size; nearer, nobody can say, as boxes
waver. It has crossed when it is on the other side than it was, and went through between the line's ends. So somebody who
stands on the line is not counted at all, one who walks to and fro is counted each time, and of frames that were dropped
meanwhile only the way between matters.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgesdk_agent.tracking.tracks import Tracks
from edgesdk_agent.zones.places import anchors, in_pixels, of_labels
from edgesdk_agent.zones.settings import Direction, LineSettings
from edgesdk_targets.tensor import Array


@dataclass(frozen=True, slots=True)
class Crossing:
    """An object crossed a line.

    Attributes:
        id: the object; `row`: where it is among the tracks of this frame.
        label: what it is.
        direction: `in` or `out`, see `LineSettings.points`.
        at: time of the frame that shows it on the other side, seconds.
    """

    id: int
    row: int
    label: str
    direction: Direction
    at: float


@dataclass(slots=True)
class _Side:
    """Where an object was seen clearly the last time: right of the line or left of it, how far, and the point."""

    distance: float
    x: float
    y: float


class Line:
    """Watch one line of one camera.

        line = edgesdk.Line((1280, 720), name="gate", points=[(0.5, 0), (0.5, 1)])
        line.update(tracks)
        print(line.counts["in"], line.counts["out"])

    Args:
        size: width and height of the pictures, pixels.
        settings: `LineSettings`, or its fields by name.

    Attributes:
        counts: how often it was crossed, by direction.
        crossed: the crossings of the newest frame.

    Raises:
        InputError: a field is unknown or wrong.
    """

    def __init__(self, size: tuple[int, int], settings: LineSettings | None = None, **fields: Any) -> None:
        self.settings = settings or LineSettings.checked(fields, "A line")
        self._from, to = in_pixels(self.settings, self.settings.points, size)
        way = to - self._from
        self._length = float(np.hypot(*way))
        self._along = way / self._length
        self._labels = frozenset(self.settings.labels)
        self._sides: dict[int, _Side] = {}
        self.counts: Counter[Direction] = Counter()
        self.crossed: list[Crossing] = []

    @property
    def name(self) -> str:
        return self.settings.name

    def update(self, tracks: Tracks) -> None:
        """Take in where the objects are now."""
        self.crossed = []
        points = anchors(tracks.boxes, self.settings.anchor)
        distances = self._distances(points)
        clear = tracks.seen & (np.abs(distances) > self._margins(tracks.boxes))
        if self._labels:
            clear &= of_labels(tracks, self._labels)
        for row in np.flatnonzero(clear).tolist():
            number = int(tracks.ids[row])
            before = self._sides.get(number) or self._first(tracks, row)
            now = _Side(float(distances[row]), float(points[row, 0]), float(points[row, 1]))
            self._sides[number] = now
            if before is not None and (before.distance > 0) != (now.distance > 0) and self._between_ends(before, now):
                direction: Direction = "in" if now.distance > 0 else "out"
                self.crossed.append(Crossing(number, row, tracks.label(row), direction, tracks.at))
                self.counts[direction] += 1
        for number in tracks.ended:
            self._sides.pop(number, None)

    def _first(self, tracks: Tracks, row: int) -> _Side | None:
        """Return where an object was seen first: it may have crossed before it was known to be one."""
        box = tracks.born_boxes[row : row + 1]
        point = anchors(box, self.settings.anchor)
        distance = float(self._distances(point)[0])
        if abs(distance) <= self._margins(box)[0]:
            return None
        return _Side(distance, float(point[0, 0]), float(point[0, 1]))

    def _distances(self, points: Array) -> Array:
        """Return how far right of the line each point is, (N,) pixels, for who looks along it; negative to the left."""
        offset = points - self._from
        # The picture's y goes down, so this is the right hand.
        distances: Array = self._along[0] * offset[:, 1] - self._along[1] * offset[:, 0]
        return distances

    def _margins(self, boxes: Array) -> Array:
        margins: Array = (boxes[:, 2:] - boxes[:, :2]).sum(axis=1) * (self.settings.margin / 2)
        return margins

    def _between_ends(self, before: _Side, now: _Side) -> bool:
        part = before.distance / (before.distance - now.distance)
        x, y = before.x + part * (now.x - before.x), before.y + part * (now.y - before.y)
        reached = (x - self._from[0]) * self._along[0] + (y - self._from[1]) * self._along[1]
        return bool(0 <= reached <= self._length)
