"""What a rule sees of a frame, and what every rule keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from edgesdk_agent.events.event import Moment, Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.tracking.tracks import Tracks
from edgesdk_agent.zones.line import Line
from edgesdk_agent.zones.zone import Zone


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model that classifies or reads says of a picture."""

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class View:
    """One frame, after tracks, zones and lines took it in.

    Attributes:
        answer: of a model that detects nothing; else None.
    """

    now: Moment
    tracks: Tracks
    zones: Mapping[str, Zone]
    lines: Mapping[str, Line]
    answer: Answer | None = None


class Rule(Protocol):
    """Turns frames into events."""

    events: Lifecycle

    def update(self, view: View) -> None:
        """Take in a frame."""
        ...

    def summary(self) -> Values:
        """Return what to tell of the time since the last summary, and begin anew."""
        ...
