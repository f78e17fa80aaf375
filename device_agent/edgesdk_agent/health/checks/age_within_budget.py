"""Are the results of each camera there soon enough after their pictures?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding
from edgesdk_agent.health.limits import HealthLimits

NAME = "age_within_budget"
_HINT = (
    "Lower `detect_fps`, take a smaller variant, or let the `governor` do so; `health.age_budget_ms` is the budget, and a "
    "camera's own `age_budget_ms`."
)


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer for each live camera that had results in the last interval: among many, a late one is not seen in all together."""
    findings = []
    for name, camera in facts.cameras.items():
        if camera.age_p95_ms is None or not camera.live:
            continue
        budget = camera.age_budget_ms or limits.age_budget_ms
        level = above(camera.age_p95_ms, (budget, budget * limits.age_failing_times))
        reason = (
            f"95 of 100 results of {name} are there within {camera.age_p95_ms:.0f} ms; the budget is {budget:.0f} ms."
        )
        findings.append(Finding(NAME, level, reason, _HINT if level else "", name))
    return findings
