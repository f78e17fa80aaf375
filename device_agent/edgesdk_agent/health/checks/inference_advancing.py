"""Do results come while pictures wait for the model?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "inference_advancing"
_HINT = "A runtime or a hook that does not return; the watchdog logs what each thread does, and restarts the agent."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer; a model to which nothing comes does not stand still, its cameras do."""
    if not facts.frames_wait:
        return [Finding(NAME, Level.OK, "Nothing waits for the model.")]
    level = above(facts.since_result_s, limits.inference_still_s)
    if not level:
        return [Finding(NAME, level, f"The last result is {facts.since_result_s:.1f} s old.")]
    return [Finding(NAME, level, f"Pictures come, and there was no result for {facts.since_result_s:.0f} s.", _HINT)]
