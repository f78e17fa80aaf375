"""A part of the picture, and who is in it since when.

A box wavers, and so does a point at the edge of a zone: an object has to be inside for some frames in a row to have
entered, and outside for as many to have left. It counts from the first of these frames, so that nothing is lost of its
stay. An object that is not seen is taken to be where it is expected, for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgesdk_agent.tracking.tracks import Tracks
from edgesdk_agent.zones.places import anchors, in_pixels, of_labels
from edgesdk_agent.zones.polygon import Polygon
from edgesdk_agent.zones.settings import ZoneSettings


@dataclass(frozen=True, slots=True)
class Stay:
    """An object's time in a zone.

    Attributes:
        id: the object.
        label: what it is.
        since: when it came in, seconds of the frames' clock.
        until: when it left; while it is inside, the time of the newest frame.
    """

    id: int
    label: str
    since: float
    until: float

    @property
    def seconds(self) -> float:
        return self.until - self.since


@dataclass(slots=True)
class _Presence:
    """One object and the zone: where it is taken to be, and for how many frames it has looked otherwise, since when."""

    label: str
    inside: bool = False
    since: float = 0.0
    doubts: int = 0
    doubted_at: float = 0.0

    def doubt(self, at: float) -> int:
        """Note that it looks otherwise than it is taken to be; return how often in a row."""
        if self.doubts == 0:
            self.doubted_at = at
        self.doubts += 1
        return self.doubts

    def turn(self) -> None:
        """Believe it, from the first time it looked so."""
        self.inside, self.since, self.doubts = not self.inside, self.doubted_at, 0


class Zone:
    """Watch one zone of one camera.

        zone = edgesdk.Zone((1280, 720), name="door", polygon=[(0.1, 0.2), (0.5, 0.2), (0.3, 0.9)])
        zone.update(tracks)
        print(len(zone), zone.stays)

    Args:
        size: width and height of the pictures, pixels.
        settings: `ZoneSettings`, or its fields by name.

    Attributes:
        entered: the stays that began with the newest frame.
        left: the stays that ended with it.

    Raises:
        InputError: a field is unknown or wrong.
    """

    def __init__(self, size: tuple[int, int], settings: ZoneSettings | None = None, **fields: Any) -> None:
        self.settings = settings or ZoneSettings.checked(fields, "A zone")
        self._polygon = Polygon(in_pixels(self.settings, self.settings.polygon, size))
        self._labels = frozenset(self.settings.labels)
        self._presences: dict[int, _Presence] = {}
        self._at = 0.0
        self.entered: list[Stay] = []
        self.left: list[Stay] = []

    def __len__(self) -> int:
        """Return how many objects are inside."""
        return sum(presence.inside for presence in self._presences.values())

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def stays(self) -> list[Stay]:
        """The objects inside, each with its time so far."""
        return [
            Stay(number, presence.label, presence.since, self._at)
            for number, presence in self._presences.items()
            if presence.inside
        ]

    def holds(self, number: int) -> bool:
        """Tell whether this object is inside."""
        presence = self._presences.get(number)
        return presence is not None and presence.inside

    def update(self, tracks: Tracks) -> None:
        """Take in where the objects are now."""
        at = self._at = tracks.at
        self.entered, self.left = [], []
        within = self._polygon.contains(anchors(tracks.boxes, self.settings.anchor))
        within &= at - tracks.seen_at <= self.settings.unseen_s
        if self._labels:
            within &= of_labels(tracks, self._labels)
        for row, (number, inside) in enumerate(zip(tracks.ids.tolist(), within.tolist(), strict=True)):
            presence = self._presences.get(number)
            if presence is None:
                presence = self._presences[number] = self._first(tracks, row)
            if presence.inside == inside:
                presence.doubts = 0
            elif presence.doubt(at) >= self.settings.inertia_frames:
                self._turn(number, presence, tracks.label(row))
        if len(self._presences) > len(tracks):
            self._forget_all_but(set(tracks.ids.tolist()))

    def _first(self, tracks: Tracks, row: int) -> _Presence:
        """Begin with an object where it was seen first, which may be a frame or more ago."""
        presence, born_at = _Presence(tracks.label(row)), float(tracks.born_at[row])
        born = anchors(tracks.born_boxes[row : row + 1], self.settings.anchor)
        if born_at < tracks.at and self._polygon.contains(born)[0]:
            presence.doubt(born_at)
        return presence

    def _turn(self, number: int, presence: _Presence, label: str) -> None:
        if presence.inside:
            self.left.append(Stay(number, presence.label, presence.since, presence.doubted_at))
            presence.turn()
        else:
            presence.turn()
            presence.label = label
            self.entered.append(Stay(number, label, presence.since, self._at))

    def _forget_all_but(self, followed: set[int]) -> None:
        for number in [number for number in self._presences if number not in followed]:
            presence = self._presences.pop(number)
            if presence.inside:
                until = presence.doubted_at if presence.doubts else self._at
                self.left.append(Stay(number, presence.label, presence.since, until))
