"""Each object from its coming to its going."""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from edgesdk_agent.events.event import Moment, Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.events.rule_settings import ObjectRule
from edgesdk_agent.events.rules.view import View


class FollowObjects:
    """Tell of objects; what matters is what one is and in which zones, not that it moved."""

    def __init__(self, settings: ObjectRule, events: Lifecycle) -> None:
        self._settings = settings
        self.events = events
        self._classes: dict[int, int] = {}
        self._seen: Counter[str] = Counter()

    def update(self, view: View) -> None:
        """Look for what came, changed or went; where nothing did, nothing is looked at closely."""
        tracks = view.tracks
        classes = dict(zip(tracks.ids.tolist(), tracks.class_ids.tolist(), strict=True))
        turned = {stay.id for zone in view.zones.values() for stay in (*zone.entered, *zone.left)}
        if classes == self._classes and not turned:
            return
        rows = {number: row for row, number in enumerate(classes)}
        for number, class_id in classes.items():
            if number in turned or self._classes.get(number) != class_id:
                self._look_at(number, rows[number], view)
        self._classes = classes
        for number in [key for key in self.events if key not in rows]:
            self.events.end(number, view.now)

    def summary(self) -> Values:
        """Return how many objects came since the last summary, by label."""
        labels: dict[str, JsonValue] = {**self._seen}
        self._seen.clear()
        return {"objects": labels}

    def _look_at(self, number: int, row: int, view: View) -> None:
        tracks, now = view.tracks, view.now
        label = tracks.label(row)
        zones = [name for name, zone in view.zones.items() if zone.holds(number)]
        matters: Values = {"object": number, "label": label, "zones": [*zones]}
        details: Values = {"score": round(float(tracks.scores[row]), 4), "box": [*tracks.box(row)]}
        if number in self.events:
            self.events.change(number, now, matters, details)
        elif self._is_wanted(label, zones):
            self._seen[label] += 1
            born_at = float(tracks.born_at[row])
            born = Moment(now.frame, born_at, now.wall - (now.at - born_at))
            self.events.begin(number, born, now, matters, details)

    def _is_wanted(self, label: str, zones: list[str]) -> bool:
        wanted = self._settings
        return (not wanted.labels or label in wanted.labels) and (
            not wanted.zones or any(zone in wanted.zones for zone in zones)
        )
