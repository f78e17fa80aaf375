"""Is the device cool enough, and at its full speed?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "temperature"
_HINT = "Give it air or a heat sink, and a power supply that is strong enough; the `governor` can lower the load."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer; a device that slows itself down is warned of at any temperature."""
    if facts.temperature_c is None and not facts.throttled:
        return []
    level = Level.OK if facts.temperature_c is None else above(facts.temperature_c, limits.temperature_c)
    said = [] if facts.temperature_c is None else [f"The processor has {facts.temperature_c:.0f} °C."]
    if facts.throttled:
        level = max(level, Level.WARNING)
        said.append(f"The device slows itself down: {', '.join(facts.throttled)}.")
    return [Finding(NAME, level, " ".join(said), _HINT if level else "")]
