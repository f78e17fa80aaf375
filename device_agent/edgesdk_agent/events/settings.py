"""All that is wanted of a scene: what is tracked, where, by which rules, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from edgesdk_agent.events.rule_settings import (
    AnyRule,
    CrossingRule,
    DwellRule,
    LabelRule,
    ObjectRule,
    OccupancyRule,
    QueueRule,
)
from edgesdk_agent.tracking.settings import Settings, TrackerSettings
from edgesdk_agent.zones.settings import LineSettings, ZoneSettings


class SceneSettings(Settings):
    """The section `events` of a configuration; see docs/events.md.

    Attributes:
        tracker: how objects are followed.
        zones, lines: places in the picture.
        rules: what is told of them.
        report: `every_frame` reports each result; `changes` only those that say something new.
        moved: with `changes`, an object that went so far, in parts of its size, is something new.
        silence_s: with `changes`, a result is reported after so long though nothing changed.
        summary_interval_s: seconds between two summaries of each camera; 0 for none.
    """

    tracker: TrackerSettings = TrackerSettings()
    zones: tuple[ZoneSettings, ...] = Field(default=(), max_length=256)
    lines: tuple[LineSettings, ...] = Field(default=(), max_length=256)
    rules: tuple[AnyRule, ...] = Field(default=(), max_length=256)
    report: Literal["every_frame", "changes"] = "every_frame"
    moved: float = Field(default=0.5, gt=0, le=1000)
    silence_s: float = Field(default=60.0, gt=0, le=86400)
    summary_interval_s: float = Field(default=60.0, ge=0, le=86400)

    @model_validator(mode="after")
    def _names_are_known(self) -> SceneSettings:
        zones, lines = [zone.name for zone in self.zones], [line.name for line in self.lines]
        for what, names in (("zones", zones), ("lines", lines), ("rules", [rule.name for rule in self.rules])):
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"the name {twice!r} is given to two {what}")
        for rule in self.rules:
            for place in places_of(rule):
                known = lines if isinstance(rule, CrossingRule) else zones
                what = "line" if isinstance(rule, CrossingRule) else "zone"
                if place not in known:
                    among = ", ".join(known) or "none"
                    raise ValueError(f"the rule {rule.name!r} asks for the {what} {place!r}; there is: {among}")
        return self

    @property
    def needs_objects(self) -> bool:
        """Whether it takes a model that detects."""
        return bool(self.zones or self.lines) or any(not isinstance(rule, LabelRule) for rule in self.rules)

    @property
    def needs_labels(self) -> bool:
        """Whether it takes a model that answers each picture with a label or text."""
        return any(isinstance(rule, LabelRule) for rule in self.rules)


def places_of(rule: AnyRule) -> Iterable[str]:
    """Return the zones, or the line, that a rule looks at."""
    if isinstance(rule, ObjectRule):
        return rule.zones
    if isinstance(rule, CrossingRule):
        return (rule.line,)
    if isinstance(rule, (OccupancyRule, QueueRule, DwellRule)):
        return (rule.zone,)
    return ()
