"""The answer of a model that classifies or reads, when it becomes another one and stays so."""

from __future__ import annotations

from collections import Counter

from pydantic import JsonValue

from edgesdk_agent.events.event import Values
from edgesdk_agent.events.lifecycle import Lifecycle
from edgesdk_agent.events.rule_settings import LabelRule
from edgesdk_agent.events.rules.view import View


class WatchLabel:
    """Tell when another label has stood for long enough; answers that are not sure say nothing, and interrupt nothing."""

    def __init__(self, settings: LabelRule, events: Lifecycle) -> None:
        self._settings = settings
        self.events = events
        self._told: Values | None = None
        self._label: str | None = None
        self._candidate: str | None = None
        self._since = 0.0
        self._changes: Counter[str] = Counter()

    def update(self, view: View) -> None:
        """Take in an answer."""
        answer, now = view.answer, view.now
        if answer is None or answer.score < self._settings.min_score:
            return
        if answer.label == self._label:
            self._candidate = None
            return
        if answer.label != self._candidate or now.at < self._since:
            self._candidate, self._since = answer.label, now.at
        if now.at - self._since >= self._settings.hold_s:
            after: Values = {"label": answer.label, "score": round(answer.score, 4)}
            self.events.once(now, after, self._told)
            self._told, self._label, self._candidate = after, answer.label, None
            self._changes[answer.label] += 1

    def summary(self) -> Values:
        """Return the label that stands, and how often each began since the last summary."""
        changes: dict[str, JsonValue] = {**self._changes}
        self._changes.clear()
        return {"label": self._label, "changes": changes}
