"""Rules, as data: what is to be told of zones, lines, objects and labels."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from edgesdk_agent.events.event import Severity
from edgesdk_agent.tracking.settings import Settings
from edgesdk_agent.zones.settings import Direction, Label, PlaceName


class RuleSettings(Settings):
    """What every rule has.

    Attributes:
        name: stands in its events and summaries.
        cameras: only these; all unless given.
        severity: of its events.
        max_per_min: messages at each camera in any minute; what is held back is counted.
        snapshot: keep a picture of each event that begins, where the agent keeps pictures.
        clip: keep a clip around each event, where the agent makes clips; as `snapshot` unless given.
    """

    name: PlaceName
    cameras: tuple[str, ...] = ()
    severity: Severity = "info"
    max_per_min: int = Field(default=60, ge=1, le=6000)
    snapshot: bool = False
    clip: bool | None = None


class ObjectRule(RuleSettings):
    """Tell of each object: that it came, what changed, and that it is gone.

    Attributes:
        labels: objects of these classes; all unless given.
        zones: from when it is in one of these; everywhere unless given.
    """

    kind: Literal["object"] = "object"
    labels: tuple[Label, ...] = ()
    zones: tuple[PlaceName, ...] = ()


class CrossingRule(RuleSettings):
    """Count who crosses a line.

    Attributes:
        directions: which ones.
        labels: objects of these classes; all unless given.
    """

    kind: Literal["crossing"] = "crossing"
    line: PlaceName
    directions: tuple[Direction, ...] = Field(default=("in", "out"), min_length=1)
    labels: tuple[Label, ...] = ()


class OccupancyRule(RuleSettings):
    """Tell when a zone holds so many objects, and when it does no longer.

    Attributes:
        at_least: so many.
        for_s: they have to be so many, or fewer, for so long.
    """

    kind: Literal["occupancy"] = "occupancy"
    zone: PlaceName
    at_least: int = Field(default=1, ge=1, le=100_000)
    for_s: float = Field(default=0.0, ge=0, le=86400)


class QueueRule(RuleSettings):
    """Tell how many wait in a zone.

    Attributes:
        wait_s: who is in the zone for so long is waiting, and does not just walk through.
        at_least: so many have to wait.
        for_s: they have to be so many, or fewer, for so long.
    """

    kind: Literal["queue"] = "queue"
    zone: PlaceName
    wait_s: float = Field(default=3.0, ge=0, le=86400)
    at_least: int = Field(default=1, ge=1, le=100_000)
    for_s: float = Field(default=0.0, ge=0, le=86400)


class DwellRule(RuleSettings):
    """Tell who stays in a zone for so long, and when they leave.

    Attributes:
        seconds: so long.
    """

    kind: Literal["dwell"] = "dwell"
    zone: PlaceName
    seconds: float = Field(gt=0, le=86400)


class LabelRule(RuleSettings):
    """Tell when the answer of a model that classifies, or reads, becomes another one.

    Attributes:
        hold_s: the new answer has to stand for so long.
        min_score: answers below are no answers.
    """

    kind: Literal["label"] = "label"
    hold_s: float = Field(default=1.0, ge=0, le=86400)
    min_score: float = Field(default=0.5, ge=0, le=1)


AnyRule = Annotated[
    Union[ObjectRule, CrossingRule, OccupancyRule, QueueRule, DwellRule, LabelRule],  # noqa: UP007  (Python 3.10)
    Field(discriminator="kind"),
]
