"""Does every camera bring pictures, at the rate that it has?"""

from __future__ import annotations

from edgesdk_agent.health.checks.graded import above
from edgesdk_agent.health.facts import CameraFacts, Facts
from edgesdk_agent.health.finding import Finding, Level
from edgesdk_agent.health.limits import HealthLimits

NAME = "cameras_producing"
_HINT = "Look at its power, cable and network; `edgesdk camera probe URL` says whether it answers."


def check(facts: Facts, limits: HealthLimits) -> list[Finding]:
    """Answer for each camera; all that are given up are worse than one."""
    return [_one(name, camera, limits) for name, camera in facts.cameras.items()]


def _one(name: str, camera: CameraFacts, limits: HealthLimits) -> Finding:
    if camera.failed:
        return Finding(NAME, Level.FAILING, f"{name} was given up: {camera.failed}", _HINT, name)
    if camera.paused or not camera.live:
        what = "is paused" if camera.paused else "is read at the pace of the model"
        return Finding(NAME, Level.OK, f"{name} {what}.", subject=name)
    if camera.state == "connecting":
        return Finding(NAME, Level.OK, f"{name} is being opened.", subject=name)
    silent = above(camera.since_frame_s, _marks(camera, limits))
    if camera.state == "offline":
        silent = max(silent, Level.WARNING)
    if silent:
        since = f"{name} has brought no picture for {camera.since_frame_s:.0f} s."
        return Finding(NAME, silent, since, _HINT, name)
    if camera.state == "degraded":
        return Finding(
            NAME, Level.WARNING, f"{name} brings pictures, and its supervision calls it degraded.", _HINT, name
        )
    return Finding(NAME, Level.OK, f"{name} brings pictures.", subject=name)


def _marks(camera: CameraFacts, limits: HealthLimits) -> tuple[float, float]:
    if not camera.fps:
        return limits.camera_silent_unknown_s
    # A camera of one picture a minute is not dead after two seconds, and one of 1000 a second not after 5 ms.
    periods, least = limits.camera_silent_periods, limits.camera_silent_least_s
    return max(periods[0] / camera.fps, least[0]), max(periods[1] / camera.fps, least[1])
