"""What is told of a scene, and when it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

# `new`, `update` and `end` of something that lasts; `once` of what is over when it is seen.
Phase = Literal["new", "update", "end", "once"]
Severity = Literal["info", "warning", "error"]
Values = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Moment:
    """One frame's time.

    Attributes:
        frame: its number.
        at: seconds of the clock by which durations are told: of a film the film's own.
        wall: seconds since 1970.
    """

    frame: int
    at: float
    wall: float


@dataclass(frozen=True, slots=True)
class SceneEvent:
    """Something in the picture began, changed, ended or happened.

    Attributes:
        id: the same from `new` to `end`, and used for nothing else, also after a restart.
        rule: the name of the rule; `kind`: what sort of rule it is, or `summary`.
        camera, frame: which picture shows it.
        started_at: when it began; `occurred_at`: when the picture was taken that tells of this; seconds since 1970.
        duration_s: how long it has lasted.
        before: what was told of it the last time; None the first time.
        after: what is so now.
        held_back: how many messages of this rule were not told so far, as there may be only so many a minute.
        snapshot, clip: the ids of its picture and of the clip around it, where they are kept.
    """

    id: str
    rule: str
    kind: str
    phase: Phase
    severity: Severity
    camera: str
    frame: int
    started_at: float
    occurred_at: float
    duration_s: float
    before: Values | None
    after: Values
    held_back: int = 0
    snapshot: str = ""
    clip: str = ""


class Evidence(Protocol):
    """Keeps pictures of events."""

    def __call__(self, event: SceneEvent, captured_at: float, *, snapshot: bool, clip: bool) -> SceneEvent:
        """Take note of an event before it is told, and return it with the ids of what is kept of it.

        Args:
            captured_at: when the picture was taken that tells of it, monotonic seconds.
            snapshot, clip: whether its rule wants one.
        """
        ...
