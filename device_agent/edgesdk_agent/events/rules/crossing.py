"""Count who crosses a line."""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from edgesdk_agent.events.event import Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.events.rule_settings import CrossingRule
from edgesdk_agent.events.rules.view import View


class CountCrossings:
    """Tell each crossing, with the counts so far: who missed one still has the right number with the next."""

    def __init__(self, settings: CrossingRule, events: Lifecycle) -> None:
        self._settings = settings
        self.events = events
        self._counts: Counter[str] = Counter(dict.fromkeys(settings.directions, 0))
        self._by_label: Counter[str] = Counter()

    def update(self, view: View) -> None:
        """Count this frame's crossings."""
        wanted = self._settings
        for crossing in view.lines[wanted.line].crossed:
            if crossing.direction not in wanted.directions or (wanted.labels and crossing.label not in wanted.labels):
                continue
            self._counts[crossing.direction] += 1
            self._by_label[crossing.label] += 1
            tracks, row = view.tracks, crossing.row
            self.events.once(
                view.now,
                {
                    "line": wanted.line,
                    "direction": crossing.direction,
                    "object": crossing.id,
                    "label": crossing.label,
                    "score": round(float(tracks.scores[row]), 4),
                    "box": [*tracks.box(row)],
                    "counts": {**self._counts},
                },
            )

    def summary(self) -> Values:
        """Return the counts since the start, by direction and by label."""
        labels: dict[str, JsonValue] = {**self._by_label}
        return {"counts": {**self._counts}, "labels": labels}
