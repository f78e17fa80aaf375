"""Is the broker reached?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "broker_reached"
_HINT = "Look at the network, and at `mqtt` in the configuration; reports are kept until the broker is back."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer; nothing where the agent works without a broker."""
    broker = facts.broker
    if broker is None:
        return []
    if broker.connected:
        return [Finding(NAME, Level.OK, "The broker is connected.")]
    level = above(broker.for_s, limits.broker_away_s)
    why = f": {broker.problem}" if broker.problem else "."
    reason = f"No connection to the broker for {broker.for_s:.0f} s{why}"
    return [Finding(NAME, level, reason, _HINT if level else "")]
