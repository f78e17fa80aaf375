"""What people are told: one notice for all devices on which a rule began, or ended, at the same time.

A site that loses its power is one notice about forty devices, and not forty notices.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from edgesdk.fleet.alerts.rule import Rule
from edgesdk_targets.messages.envelope import rfc3339

State = Literal["firing", "still", "resolved"]

# A notice names so many devices; of the rest it says how many they are.
SHOWN = 20
_UNITS = {"offline_for": "s", "age_over": "ms", "temperature_over": "°C", "fps_under": "of its baseline"}
_WORDS = {
    "offline_for": "offline for longer than",
    "age_over": "results older than",
    "temperature_over": "hotter than",
    "fps_under": "fewer frames per second than",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One device of a notice.

    Attributes:
        value: the figure, in the unit of the rule's kind; of what ended the worst one.
    """

    node: str
    site: str
    since: datetime
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened.

    Attributes:
        id: the same for the same notice sent again, so that a receiver knows what it has.
        devices: at least one, by name.
        trial: nothing is wrong; somebody tries the channel.
    """

    rule: Rule
    state: State
    at: datetime
    devices: tuple[Told, ...]
    trial: bool = False

    @property
    def id(self) -> str:
        words = "\n".join((self.rule.name, self.state, self.at.isoformat(), *(told.node for told in self.devices)))
        return hashlib.sha256(words.encode()).hexdigest()[:32]

    @property
    def title(self) -> str:
        """One line: how grave, what, and on which device or how many."""
        mark = {
            "firing": self.rule.severity.upper(),
            "still": f"STILL {self.rule.severity.upper()}",
            "resolved": "RESOLVED",
        }
        count = len(self.devices)
        where = self.devices[0].node if count == 1 else f"{count} devices"
        if self.trial:
            return "[TRIAL] edgesdk fleet: this channel works"
        return f"[{mark[self.state]}] {self.rule.name}: {where}"

    @property
    def text(self) -> str:
        """The whole of it for a person, in plain lines."""
        if self.trial:
            return f"{self.title}\n\nNothing is wrong. Alerts come like this, with their devices and figures.\n"
        rule = self.rule
        said = f"{_WORDS[rule.kind]} {limit_text(rule)}"
        lines = [f"{self.title}", "", f"Rule {rule.name}: {said}.", ""]
        for told in self.devices[:SHOWN]:
            place = f" ({told.site})" if told.site else ""
            figure = "" if told.value is None else f", {figure_text(rule, told.value)}"
            lines.append(f"{told.node}{place} since {rfc3339(told.since)}{figure}")
        if len(self.devices) > SHOWN:
            lines.append(f"and {len(self.devices) - SHOWN} more")
        return "\n".join(lines) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Return what a webhook and a subscriber get."""
        rule = self.rule
        return {
            "schema": "alert/1",
            "id": self.id,
            "at": rfc3339(self.at),
            "state": self.state,
            "rule": rule.name,
            "kind": rule.kind,
            "severity": rule.severity,
            "limit": rule.limit,
            "trial": self.trial,
            "title": self.title,
            "text": self.text,
            "count": len(self.devices),
            "devices": [
                {"node": told.node, "site": told.site, "since": rfc3339(told.since), "value": told.value}
                for told in self.devices[:SHOWN]
            ],
        }


def limit_text(rule: Rule) -> str:
    """Write a rule's limit with its unit."""
    return figure_text(rule, rule.limit)


def figure_text(rule: Rule, value: float) -> str:
    """Write a figure with the unit of the rule's kind."""
    if rule.kind == "fps_under":
        return f"{value:.0%} {_UNITS[rule.kind]}"
    return f"{value:.4g} {_UNITS[rule.kind]}"
