"""The part `supervise` of a camera."""

from __future__ import annotations

from pydantic import Field

from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_agent.config.section import Section

_DEFAULT = SupervisionLimits()


class SuperviseSection(Section):
    """When a live camera is opened again; see docs/cameras.md.

    Attributes:
        silent_after_s: without a picture, or for five frames at its rate, whichever is longer.
        frozen_after_s: of the very same picture, or ten frames, whichever is longer; 0 for scenes that really stand still.
        slow_below: share of the expected rate under which it counts as degraded; 0 never.
        attempts: to open it, before it counts as offline; it is tried on, but seldom.
        retry_most_s: the longest wait between those attempts; offline_retry_s: between the later ones.
        steady_after_s: of pictures, until all attempts are there again.
    """

    silent_after_s: float = Field(default=_DEFAULT.silent_after_s, ge=0.2, le=3600)
    frozen_after_s: float = Field(default=_DEFAULT.frozen_after_s, ge=0, le=86400)
    slow_below: float = Field(default=_DEFAULT.slow_below, ge=0, lt=1)
    attempts: int = Field(default=_DEFAULT.attempts, ge=0, le=1000)
    retry_most_s: float = Field(default=_DEFAULT.retry_most_s, ge=0.1, le=3600)
    offline_retry_s: float = Field(default=_DEFAULT.offline_retry_s, ge=0.1, le=86400)
    steady_after_s: float = Field(default=_DEFAULT.steady_after_s, ge=0, le=86400)

    def limits(self) -> SupervisionLimits:
        """Return what the camera is held to: an agent never gives a camera up."""
        return SupervisionLimits(**dict(self), keep_trying=True)
