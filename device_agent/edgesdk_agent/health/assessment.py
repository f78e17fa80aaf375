"""All checks together: what each says, and the state that follows. Pure over one snapshot of facts.

A check that raises is itself a finding, and the others are asked all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from edgesdk_agent.health.checks import (
    age_within_budget,
    broker_reached,
    cameras_producing,
    clock_trusted,
    disk_space,
    error_rate,
    file_descriptors,
    inference_advancing,
    memory,
    outbox_filling,
    stages_returning,
    temperature,
)
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

log = logging.getLogger(__name__)

Check = Callable[[Facts, HealthLimits], "list[Finding]"]
State = Literal["online", "degraded"]

CHECKS: dict[str, Check] = {
    one.NAME: one.check
    for one in (
        cameras_producing,
        inference_advancing,
        stages_returning,
        age_within_budget,
        broker_reached,
        outbox_filling,
        disk_space,
        memory,
        temperature,
        clock_trusted,
        file_descriptors,
        error_rate,
    )
}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the checks found at one moment."""

    findings: Sequence[Finding]

    @property
    def level(self) -> Level:
        """The worst of all."""
        return max((finding.level for finding in self.findings), default=Level.OK)

    @property
    def state(self) -> State:
        """What the device says of itself while it is there: `degraded` as soon as one check warns."""
        return "online" if self.level is Level.OK else "degraded"

    @property
    def troubles(self) -> list[Finding]:
        """What is not well, the worst first."""
        return sorted((one for one in self.findings if one.level), key=lambda one: -one.level)


def assess(facts: Facts, limits: HealthLimits, checks: dict[str, Check] | None = None) -> Assessment:
    """Ask every check, and return what they found."""
    findings: list[Finding] = []
    for name, check in (CHECKS if checks is None else checks).items():
        try:
            findings.extend(check(facts, limits))
        except Exception as error:  # a check's border: what one cannot answer, ten others can
            log.debug("The check %s failed", name, exc_info=True)
            reason = f"The check itself failed: {type(error).__name__}: {error}"
            findings.append(Finding(name, Level.WARNING, reason, "This is a fault of edgesdk; send a support bundle."))
    return Assessment(tuple(findings))
