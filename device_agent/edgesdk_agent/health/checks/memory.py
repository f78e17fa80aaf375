"""Is there memory left, on the device and for this process?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above, below
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "memory"
_HINT = "Take a smaller variant or fewer cameras, or end what else runs here; when memory is gone the system kills."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer for the device and for the process, as far as each is known."""
    found = []
    available, total = facts.memory_available_bytes, facts.memory_total_bytes
    if available is not None and total:
        level = below(available / total, limits.memory_available_share)
        reason = f"{available / 1e6:.0f} of {total / 1e6:.0f} MB of the device's memory are available."
        found.append(Finding(NAME, level, reason, _HINT if level else "", "device"))
    rss, limit = facts.rss_bytes, facts.memory_limit_bytes
    if rss is not None and limit:
        level = above(rss / limit, limits.rss_share)
        reason = f"The agent takes {rss / 1e6:.0f} of {limit / 1e6:.0f} MB that it may take."
        found.append(Finding(NAME, level, reason, _HINT if level else "", "agent"))
    return found
