"""Is a result there soon enough after its picture?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "age_within_budget"
_HINT = "Lower `detect_fps`, take a smaller variant, or let the `governor` do so; `health.age_budget_ms` is the budget."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer for the last interval; nothing where it had no result, or where no camera is live."""
    if facts.age_p95_ms is None or not any(camera.live for camera in facts.cameras.values()):
        return []
    budget = limits.age_budget_ms
    level = above(facts.age_p95_ms, (budget, budget * limits.age_failing_times))
    reason = f"95 of 100 results are there within {facts.age_p95_ms:.0f} ms; the budget is {budget:.0f} ms."
    return [Finding(NAME, level, reason, _HINT if level else "")]
