"""Do reports leave as fast as they are made?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "outbox_filling"
_HINT = "Report less (`mqtt.max_results_per_s`), or give the queue more room."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer; reports that were dropped are a failure, however much room there is now."""
    outbox = facts.outbox
    if outbox is None:
        return []
    if outbox.lost:
        return [Finding(NAME, Level.FAILING, f"{outbox.lost} reports had no room and were dropped.", _HINT)]
    level = above(outbox.filled, limits.outbox_filled)
    reason = f"{outbox.waiting} reports wait, {100 * outbox.filled:.0f} % of the room."
    return [Finding(NAME, level, reason, _HINT if level else "")]
