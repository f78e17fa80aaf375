"""Does the user's code in the way of frames and results return?"""

from __future__ import annotations

from edgesdk_agent.health.facts import Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "stages_returning"
_HINT = (
    "Mend the stage, or give `stages.timeout_s` more than its longest call takes; a restart of the agent ends the call."
)


def check(facts: Facts, _limits: HealthLimits) -> list[Finding]:
    """Answer for each camera; one that is left out is doubtful, and all of them are a failure."""
    read = [camera for camera in facts.cameras.values() if not camera.failed]
    level = Level.FAILING if all(camera.left_out_by for camera in read) else Level.WARNING
    return [
        Finding(
            NAME,
            level,
            f"{camera.left_out_by} does not return from a picture of {name}: all others are lost.",
            _HINT,
            name,
        )
        if camera.left_out_by
        else Finding(NAME, Level.OK, f"No stage hangs with a picture of {name}.", subject=name)
        for name, camera in facts.cameras.items()
    ]
