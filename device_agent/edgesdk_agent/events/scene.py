"""One camera's scene: objects are followed, zones and lines take them in, rules tell what happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import count
from secrets import token_hex
from typing import Any

from pydantic import JsonValue

from edgesdk_agent.events.event import Moment, SceneEvent, Values
from edgesdk_agent.events.lifecycle import Lifecycle, Origin
from edgesdk_agent.events.rule_settings import (
    AnyRule,
    CrossingRule,
    DwellRule,
    LabelRule,
    ObjectRule,
)
from edgesdk_agent.events.rules.crossing import CountCrossings
from edgesdk_agent.events.rules.dwell import WatchDwell
from edgesdk_agent.events.rules.label import WatchLabel
from edgesdk_agent.events.rules.level import WatchLevel
from edgesdk_agent.events.rules.objects import FollowObjects
from edgesdk_agent.events.rules.view import Answer, Rule, View
from edgesdk_agent.events.settings import SceneSettings, places_of
from edgesdk_agent.tracking.tracker import Tracker
from edgesdk_agent.tracking.tracks import Tracks, nothing_tracked
from edgesdk_agent.zones.line import Line
from edgesdk_agent.zones.zone import Zone
from edgesdk_targets.results import Chained, Classification, Detections, Result, Text


class Scene:
    """What happens before one camera.

        scene = edgesdk.Scene((1280, 720), lines=[{"name": "gate", "points": [[0.5, 0], [0.5, 1]]}],
                              rules=[{"name": "passed", "kind": "crossing", "line": "gate"}])
        for result in edgesdk.Pipeline(model, "video.mp4"):
            for event in scene.update(result.result, at=result.captured_at):
                print(event.after)

    Calls may come from several threads, one at a time.

    Args:
        size: width and height of the pictures, pixels.
        settings: `SceneSettings`, or its fields by name.
        camera: its name; places and rules that are for other cameras are left out.

    Attributes:
        tracks: the objects that are followed now.
        zones, lines: by name.

    Raises:
        InputError: a field is unknown or wrong.
    """

    def __init__(
        self,
        size: tuple[int, int],
        settings: SceneSettings | None = None,
        *,
        camera: str = "camera",
        **fields: Any,
    ) -> None:
        self.settings = settings or SceneSettings.checked(fields, "A scene")
        self._size = size
        self.camera = camera
        self.tracks = nothing_tracked(0.0)
        self._tracker = Tracker(**self.settings.tracker.model_dump())
        self.zones = {z.name: Zone(size, z) for z in self.settings.zones if _is_for(z.cameras, camera)}
        self.lines = {line.name: Line(size, line) for line in self.settings.lines if _is_for(line.cameras, camera)}
        self._told: list[SceneEvent] = []
        # Of rules that are no more.
        self._told_before = self._held_back_before = 0
        self._next_id = _ids()
        self.rules = {
            rule.name: self._rule(rule)
            for rule in self.settings.rules
            if _is_for(rule.cameras, camera) and self._has_places(rule)
        }
        self._now: Moment | None = None
        self._summed_up_at: float | None = None
        self._frames = 0
        self._lock = threading.Lock()

    def update(self, result: Result, at: float, *, frame: int | None = None, wall: float = 0.0) -> list[SceneEvent]:
        """Take in one frame's result, and return what is to be told.

        Args:
            result: of the frame; objects come from detections, labels from a classification or a text.
            at: the frame's time, seconds of a clock that goes forward.
            frame: its number; counted from 0 unless given.
            wall: its time, seconds since 1970.
        """
        with self._lock:
            number = frame if frame is not None else (0 if self._now is None else self._now.frame + 1)
            return self._update(result, Moment(number, at, wall))

    def let_pass(self, seconds: float) -> list[SceneEvent]:
        """Let time pass without a frame, as when a camera stands still: who is not seen is gone after a while.

        Args:
            seconds: since the newest frame.
        """
        with self._lock:
            if self._now is None or not len(self.tracks):
                return []
            now = Moment(self._now.frame, self._now.at + seconds, self._now.wall + seconds)
            if seconds <= self.settings.tracker.lost_s:
                return []
            tracks = nothing_tracked(now.at, ended=tuple(self.tracks.ids.tolist()))
            self._tracker.reset()
            return self._take_in(tracks, None, now)

    def take_settings(self, settings: SceneSettings) -> list[SceneEvent]:
        """Go by other settings from now on, and return what is to be told: the ends of events whose rule is gone or changed.

        Objects keep their numbers; a place and a rule that are as before keep their counts and what is going on.
        """
        with self._lock:
            zones = {z.name: z for z in settings.zones if _is_for(z.cameras, self.camera)}
            lines = {line.name: line for line in settings.lines if _is_for(line.cameras, self.camera)}
            kept = {name for name, old in self.zones.items() if zones.get(name) == old.settings}
            kept_lines = {name for name, old in self.lines.items() if lines.get(name) == old.settings}
            before = {rule.name: rule for rule in self.settings.rules}
            self._tracker.settings, self.settings = settings.tracker, settings
            self.zones = {n: self.zones[n] if n in kept else Zone(self._size, z) for n, z in zones.items()}
            self.lines = {n: self.lines[n] if n in kept_lines else Line(self._size, one) for n, one in lines.items()}
            places = {*kept, *kept_lines}
            rules: dict[str, Rule] = {}
            for rule in settings.rules:
                if not (_is_for(rule.cameras, self.camera) and self._has_places(rule)):
                    continue
                same = rule.name in self.rules and before.get(rule.name) == rule and places >= set(places_of(rule))
                rules[rule.name] = self.rules.pop(rule.name) if same else self._rule(rule)
            for gone in self.rules.values():
                if self._now is not None:
                    gone.events.close(self._now)
                self._told_before += gone.events.told
                self._held_back_before += gone.events.held_back
            self.rules = rules
            return self._take_told()

    def close(self) -> list[SceneEvent]:
        """End all events, and return what is still to be told: their ends, and a last summary."""
        with self._lock:
            if self._now is None:
                return []
            for rule in self.rules.values():
                rule.events.close(self._now)
            if self.settings.summary_interval_s and self._frames:
                self._sum_up(self._now)
            return self._take_told()

    @property
    def held_back(self) -> int:
        """How many messages were not told, as there may be only so many a minute."""
        return self._held_back_before + sum(rule.events.held_back for rule in self.rules.values())

    @property
    def told(self) -> int:
        """How many messages were told by rules; summaries do not count."""
        return self._told_before + sum(rule.events.told for rule in self.rules.values())

    def _update(self, result: Result, now: Moment) -> list[SceneEvent]:
        detections = result.detections if isinstance(result, Chained) else result
        if isinstance(detections, Detections):
            return self._take_in(self._tracker.update(detections, now.at), None, now)
        return self._take_in(nothing_tracked(now.at), _answer(result), now)

    def _take_in(self, tracks: Tracks, answer: Answer | None, now: Moment) -> list[SceneEvent]:
        self.tracks, self._now = tracks, now
        self._frames += 1
        for zone in self.zones.values():
            zone.update(tracks)
        for line in self.lines.values():
            line.update(tracks)
        view = View(now, tracks, self.zones, self.lines, answer)
        for rule in self.rules.values():
            rule.update(view)
            rule.events.settle(now)
        self._sum_up_when_due(now)
        return self._take_told()

    def _sum_up_when_due(self, now: Moment) -> None:
        if self._summed_up_at is None or now.at < self._summed_up_at:
            self._summed_up_at = now.at
        interval_s = self.settings.summary_interval_s
        if interval_s and now.at - self._summed_up_at >= interval_s:
            self._sum_up(now)

    def _sum_up(self, now: Moment) -> None:
        seconds = now.at - (self._summed_up_at or 0.0)
        rules: dict[str, JsonValue] = {}
        for name, rule in self.rules.items():
            rules[name] = {**rule.summary(), "told": rule.events.told, "held_back": rule.events.held_back}
        after: Values = {"seconds": round(seconds, 3), "frames": self._frames, "rules": rules}
        self._told.append(
            SceneEvent(
                id=self._next_id(),
                rule="",
                kind="summary",
                phase="once",
                severity="info",
                camera=self.camera,
                frame=now.frame,
                started_at=now.wall - seconds,
                occurred_at=now.wall,
                duration_s=round(seconds, 3),
                before=None,
                after=after,
                held_back=self.held_back,
            )
        )
        self._summed_up_at, self._frames = now.at, 0

    def _take_told(self) -> list[SceneEvent]:
        told, self._told[:] = self._told.copy(), []
        return told

    def _rule(self, settings: AnyRule) -> Rule:
        origin = Origin(settings.name, settings.kind, self.camera, settings.severity)
        events = Lifecycle(origin, settings.max_per_min, self._next_id, self._tell)
        if isinstance(settings, ObjectRule):
            return FollowObjects(settings, events)
        if isinstance(settings, CrossingRule):
            return CountCrossings(settings, events)
        if isinstance(settings, DwellRule):
            return WatchDwell(settings, events)
        if isinstance(settings, LabelRule):
            return WatchLabel(settings, events)
        return WatchLevel(settings, events)

    def _tell(self, event: SceneEvent) -> None:
        self._told.append(event)

    def _has_places(self, rule: AnyRule) -> bool:
        """Tell whether what the rule looks at is at this camera."""
        if isinstance(rule, CrossingRule):
            return rule.line in self.lines
        return isinstance(rule, (ObjectRule, LabelRule)) or rule.zone in self.zones


def _is_for(cameras: Sequence[str], camera: str) -> bool:
    return not cameras or camera in cameras


def _answer(result: Result) -> Answer | None:
    if isinstance(result, Classification):
        return Answer(result.label, result.score)
    return Answer(result.text, result.confidence) if isinstance(result, Text) else None


def _ids() -> Callable[[], str]:
    """Return what gives an id with each call: a random beginning, so that a restart does not use one again."""
    beginning, numbers = token_hex(6), count(1)
    return lambda: f"{beginning}-{next(numbers):06d}"
