"""Can the wall clock be believed? Ages and rates never depend on it, but the times in reports do."""

from __future__ import annotations

from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "clock_trusted"
_HINT = "Let the device reach a time server; until then its reports say that their times are not to be trusted."


def check(facts: Facts, _limits: HealthLimits) -> list[Finding]:
    """Answer; a wrong clock makes nothing fail."""
    if facts.clock is None:
        return []
    if facts.clock.trusted:
        return [Finding(NAME, Level.OK, "The clock can be believed.")]
    return [Finding(NAME, Level.WARNING, facts.clock.reason, _HINT)]
