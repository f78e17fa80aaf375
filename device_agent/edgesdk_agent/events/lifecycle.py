"""The events of one rule at one camera: each has a number of its own from its beginning to its end.

Told is only what changed in what matters, and at most so much a minute. What may not be told at once waits, and when there
is room its newest state is told: `before` and `after` therefore always join. What was overtaken meanwhile, or began and
ended without being told, is counted. An event whose beginning was told has its end told, later if need be; ends come first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from edgesdk_agent.events.event import Moment, Phase, SceneEvent, Severity, Values
from edgesdk_agent.events.rate_limit import RateLimit

_NOTHING: Values = {}


@dataclass(slots=True)
class _Open:
    """An event that has not ended.

    Attributes:
        matters, details: its newest state.
        told, told_matters: what was told last; None before anything was.
    """

    id: str
    began: Moment
    matters: Values
    details: Values
    told: Values | None = None
    told_matters: Values = field(default_factory=dict)

    @property
    def state(self) -> Values:
        return {**self.matters, **self.details}


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose events they are."""

    rule: str
    kind: str
    camera: str
    severity: Severity = "info"


class Lifecycle:
    """Begin, change and end events of one rule.

    Args:
        origin: whose they are.
        per_minute: how many messages there may be in any minute.
        next_id: returns an id that was never used.
        tell: takes each event that is told.

    Attributes:
        told, held_back: messages that went out, and that did not.
    """

    def __init__(
        self, origin: Origin, per_minute: int, next_id: Callable[[], str], tell: Callable[[SceneEvent], None]
    ) -> None:
        self._origin = origin
        self._limit = RateLimit(per_minute)
        self._next_id = next_id
        self._tell = tell
        self._open: dict[Hashable, _Open] = {}
        self._changed: dict[Hashable, None] = {}
        self._ended: list[tuple[_Open, Moment]] = []
        self.told = self.held_back = 0

    def __contains__(self, key: Hashable) -> bool:
        return key in self._open

    def __len__(self) -> int:
        """Return how many have begun and not ended."""
        return len(self._open)

    def __iter__(self) -> Iterator[Hashable]:
        """Go through the keys of those that have begun and not ended."""
        return iter(tuple(self._open))

    def begin(self, key: Hashable, began: Moment, now: Moment, matters: Values, details: Values = _NOTHING) -> None:
        """Begin an event; what matters, when it changes, is told."""
        self._open[key] = _Open(self._next_id(), began, matters, details)
        self._changed[key] = None
        self.settle(now)

    def change(self, key: Hashable, now: Moment, matters: Values, details: Values = _NOTHING) -> None:
        """Note the state of an event; told if something that matters differs from what was told."""
        event = self._open[key]
        if event.matters == matters:
            return
        if key in self._changed:
            self.held_back += 1  # overtaken before it was told
        event.matters, event.details = matters, details
        if event.told is not None and event.told_matters == matters:
            self._changed.pop(key, None)
        else:
            self._changed[key] = None
        self.settle(now)

    def end(self, key: Hashable, now: Moment, matters: Values | None = None, details: Values = _NOTHING) -> None:
        """End an event."""
        event = self._open.pop(key)
        if self._changed.pop(key, self) is None:
            self.held_back += 1
        if event.told is None:
            return
        event.matters, event.details = event.matters if matters is None else matters, details or event.details
        self._ended.append((event, now))
        self.settle(now)

    def once(self, now: Moment, after: Values, before: Values | None = None) -> None:
        """Tell what is over already."""
        if self._limit.has_room(now.at):
            self._send(_Open(self._next_id(), now, after, _NOTHING, told=before), "once", now, now)
        else:
            self.held_back += 1

    def settle(self, now: Moment) -> None:
        """Tell what waits, as far as there is room."""
        while self._ended and self._limit.has_room(now.at):
            event, ended = self._ended.pop(0)
            self._send(event, "end", ended, now)
        while self._changed and self._limit.has_room(now.at):
            key = next(iter(self._changed))
            del self._changed[key]
            event = self._open[key]
            self._send(event, "new" if event.told is None else "update", now, now)

    def close(self, now: Moment) -> None:
        """End all, at the end of a run: there is no later minute for these messages."""
        for key in self:
            self.end(key, now)
        for event, ended in self._ended:
            self._send(event, "end", ended, now)
        self._ended.clear()

    def _send(self, event: _Open, phase: Phase, when: Moment, now: Moment) -> None:
        self._limit.passed(now.at)
        self.told += 1
        before, event.told, event.told_matters = event.told, event.state, event.matters
        origin = self._origin
        self._tell(
            SceneEvent(
                id=event.id,
                rule=origin.rule,
                kind=origin.kind,
                phase=phase,
                severity=origin.severity,
                camera=origin.camera,
                frame=when.frame,
                started_at=event.began.wall,
                occurred_at=when.wall,
                duration_s=round(max(0.0, when.at - event.began.at), 3),
                before=before,
                after=event.told,
                held_back=self.held_back,
            )
        )
