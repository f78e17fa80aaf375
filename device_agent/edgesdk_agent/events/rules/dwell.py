"""Who stays in a zone for long."""

from __future__ import annotations

from edgesdk_agent.events.event import Moment, Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.events.rule_settings import DwellRule
from edgesdk_agent.events.rules.view import View
from edgesdk_agent.zones.zone import Stay


class WatchDwell:
    """Tell of each object that stays for so long, and how long it was when it leaves."""

    def __init__(self, settings: DwellRule, events: Lifecycle) -> None:
        self._settings = settings
        self.events = events
        self._stays = self._long_stays = 0
        self._seconds = self._longest_s = 0.0

    def update(self, view: View) -> None:
        """Look at who is in the zone, and who left it."""
        now, zone = view.now, view.zones[self._settings.zone]
        for stay in zone.stays:
            if stay.seconds >= self._settings.seconds and stay.id not in self.events:
                # It began when the object came in, not when it had stayed long enough.
                began = Moment(now.frame, stay.since, now.wall - (now.at - stay.since))
                self.events.begin(stay.id, began, now, self._state(stay))
        for stay in zone.left:
            self._stays += 1
            self._seconds += stay.seconds
            self._longest_s = max(self._longest_s, stay.seconds)
            if stay.id in self.events:
                self._long_stays += 1
                self.events.end(stay.id, now, details={"stayed_s": round(stay.seconds, 3)})

    def summary(self) -> Values:
        """Return the stays that ended since the last summary, and their mean and longest in seconds."""
        mean = self._seconds / self._stays if self._stays else 0.0
        told: Values = {
            "stays": self._stays,
            "long_stays": self._long_stays,
            "mean_s": round(mean, 3),
            "longest_s": round(self._longest_s, 3),
        }
        self._stays = self._long_stays = 0
        self._seconds = self._longest_s = 0.0
        return told

    def _state(self, stay: Stay) -> Values:
        return {"zone": self._settings.zone, "object": stay.id, "label": stay.label}
