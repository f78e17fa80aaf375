"""Does the log fill with errors?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "error_rate"
_HINT = "`edgesdk agent logs` shows them; `edgesdk agent support-bundle` keeps the last."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer by the errors of the last minute."""
    level = above(facts.errors_per_minute, limits.errors_per_minute)
    return [Finding(NAME, level, f"{facts.errors_per_minute} errors in the last minute.", _HINT if level else "")]
