"""How a roll-out goes: waves, what each must show, when devices may be told, and what happens where it does worse."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgesdk.fleet.rollout.hours import check_hours

OnBreach = Literal["rollback-all", "rollback-wave", "hold"]


def _hours(text: str) -> str:
    return check_hours(text) if text else text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("is no time zone, such as Europe/Berlin") from error
    return name


class HealthLimits(BaseModel):
    """How much worse a device may do than before, beside what devices that were not touched did meanwhile.

    A limit of 0 looks at nothing. `slack` is what is too little to matter, whatever the ratio says.

    Attributes:
        fps: the least share of the frame rate before.
        age_p95, latency, memory: how many times as much as before.
        temperature_c: how many degrees more.
        restarts: how many starts of the agent within the soak, beyond the update's own.
        results: how far the shares of what is seen may move, 0 to 1 (total variation).
        age_slack_ms, latency_slack_ms, memory_slack_mb: see above.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fps: Annotated[float, Field(ge=0, le=1)] = 0.8
    age_p95: Annotated[float, Field(ge=0, le=100)] = 1.5
    latency: Annotated[float, Field(ge=0, le=100)] = 1.5
    memory: Annotated[float, Field(ge=0, le=100)] = 1.5
    temperature_c: Annotated[float, Field(ge=0, le=100)] = 8.0
    restarts: Annotated[int, Field(ge=0, le=1000)] = 1
    results: Annotated[float, Field(ge=0, le=1)] = 0.4
    age_slack_ms: Annotated[float, Field(ge=0)] = 20.0
    latency_slack_ms: Annotated[float, Field(ge=0)] = 5.0
    memory_slack_mb: Annotated[float, Field(ge=0)] = 50.0


class ShadowRules(BaseModel):
    """A shadow wave before the first one: devices compare the bundle with what they run, and change nothing.

    Attributes:
        devices: how many take part; lasts_s: how long at most.
        share: of its frames and its time that a device may spend; differ: how far answers may differ, by the task unless
            given; slower: how many times as long it may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    devices: Annotated[int, Field(ge=1, le=1000)] = 1
    lasts_s: Annotated[float, Field(ge=1, le=14 * 86400)] = 3600.0
    share: Annotated[float, Field(gt=0, le=1)] = 0.05
    differ: Annotated[float, Field(gt=0, lt=1)] | None = None
    slower: Annotated[float, Field(ge=1, le=100)] = 1.5


class Policy(BaseModel):
    """One roll-out's rules; they do not change while it runs.

    Attributes:
        shares: of all devices, after the first wave of one device.
        soak_s: how long a device runs the new model before it counts, with at least `reports` of telemetry.
        success: the least share of a wave that must do well.
        silent_after_s: a device that was told and has not come to an end by then has failed.
        baseline_s: how far back before the update a device's own figures are taken.
        rate_per_min: how many devices may be told in a minute; 0: all of a wave at once.
        hours, zone: `22:00-05:30`, when devices may be told; going back waits for no hour.
        approval: a person lets each wave after the first begin.
        on_breach: what follows a halt.
        dynamic: devices that come to fit the selection later join; else the list is that of the beginning.
        first: the device of the first wave; the hash chooses unless given.
        shadow: a shadow wave before it; none unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1, max_length=20)] = (
        0.01,
        0.1,
        0.5,
        1.0,
    )
    soak_s: Annotated[float, Field(ge=1, le=30 * 86400)] = 600.0
    reports: Annotated[int, Field(ge=1, le=10_000)] = 10
    success: Annotated[float, Field(gt=0, le=1)] = 0.9
    silent_after_s: Annotated[float, Field(ge=1, le=90 * 86400)] = 3600.0
    baseline_s: Annotated[float, Field(ge=1, le=2 * 86400)] = 3600.0
    rate_per_min: Annotated[int, Field(ge=0, le=100_000)] = 0
    hours: Annotated[str, AfterValidator(_hours)] = ""
    zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = "UTC"
    approval: bool = False
    on_breach: OnBreach = "rollback-all"
    dynamic: bool = False
    first: Annotated[str, Field(max_length=129)] = ""
    health: HealthLimits = HealthLimits()
    shadow: ShadowRules | None = None

    @model_validator(mode="after")
    def _rising(self) -> Policy:
        if any(one >= other for one, other in itertools.pairwise(self.shares)):
            raise ValueError("shares: each must be larger than the one before")
        return self
