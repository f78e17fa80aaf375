"""Is there room where the agent keeps its data?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import below
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "disk_space"
_HINT = "Delete what is not needed; clips and the outbox keep to their own quota."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer by the bytes that are free."""
    if facts.disk_free_bytes is None:
        return []
    level = below(facts.disk_free_bytes, limits.disk_free_bytes)
    return [Finding(NAME, level, f"{facts.disk_free_bytes / 1e6:.0f} MB are free.", _HINT if level else "")]
