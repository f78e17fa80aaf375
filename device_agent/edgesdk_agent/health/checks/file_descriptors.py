"""Does the process keep within the files that it may open?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "file_descriptors"
_HINT = "Something is opened and never closed, perhaps in a hook; restart the agent, and send a support bundle."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer by the share of the limit."""
    if facts.fds_open is None or not facts.fds_limit:
        return []
    level = above(facts.fds_open / facts.fds_limit, limits.fds_share)
    reason = f"{facts.fds_open} of {facts.fds_limit} file descriptors are open."
    return [Finding(NAME, level, reason, _HINT if level else "")]
