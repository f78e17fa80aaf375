"""A number that is watched: occupancy and the length of a queue are two ways to count who is in a zone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edgesdk_agent.events.event import Moment, Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.events.rule_settings import OccupancyRule, QueueRule
from edgesdk_agent.events.rules.view import View

_THE_ONE = "level"


@dataclass(slots=True)
class Course:
    """How a number ran since the last summary: its mean is weighed by time, as frames come unevenly."""

    number: int = 0
    least: float = math.inf
    most: int = 0
    at: float | None = None
    seconds: float = 0.0
    area: float = 0.0

    def add(self, number: int, at: float) -> None:
        """Note the number of a frame, which held until the next one."""
        if self.at is not None and at > self.at:
            self.seconds += at - self.at
            self.area += self.number * (at - self.at)
        self.number, self.at = number, at
        self.least, self.most = min(self.least, number), max(self.most, number)

    def take(self) -> dict[str, float]:
        """Return the course, and begin anew with the number that is."""
        mean = self.area / self.seconds if self.seconds else float(self.number)
        told = {"now": self.number, "min": min(self.least, self.number), "mean": round(mean, 3), "max": self.most}
        self.least, self.most, self.seconds, self.area = self.number, self.number, 0.0, 0.0
        return told


class WatchLevel:
    """Tell when a number has reached its threshold for long enough, how it changes, and when it is below for as long."""

    def __init__(self, settings: OccupancyRule | QueueRule, events: Lifecycle) -> None:
        self._settings = settings
        self._wait_s = settings.wait_s if isinstance(settings, QueueRule) else 0.0
        self._what = "length" if isinstance(settings, QueueRule) else "count"
        self.events = events
        self._course = Course()
        self._peak = 0
        self._differs_since: Moment | None = None

    def update(self, view: View) -> None:
        """Count, and tell."""
        now, zone = view.now, view.zones[self._settings.zone]
        number = len(zone) if not self._wait_s else sum(stay.seconds >= self._wait_s for stay in zone.stays)
        self._course.add(number, now.at)
        reached, told = number >= self._settings.at_least, _THE_ONE in self.events
        if reached == told:
            self._differs_since = None
        elif self._differs_since is None or now.at < self._differs_since.at:
            self._differs_since = now
        if self._differs_since is not None and now.at - self._differs_since.at >= self._settings.for_s:
            self._turn(number, now)
        elif told:
            self._peak = max(self._peak, number)
            self.events.change(_THE_ONE, now, self._state(number), {"peak": self._peak})

    def summary(self) -> Values:
        """Return the number now, and its least, mean and most since the last summary."""
        return {self._what: {**self._course.take()}}

    def _turn(self, number: int, now: Moment) -> None:
        began, self._differs_since = self._differs_since or now, None
        if _THE_ONE in self.events:
            self.events.end(_THE_ONE, now, self._state(number), {"peak": self._peak})
        else:
            self._peak = number
            self.events.begin(_THE_ONE, began, now, self._state(number), {"peak": number})

    def _state(self, number: int) -> Values:
        return {"zone": self._settings.zone, self._what: number}
