"""What is done with a picture as soon as it was captured, before anything else sees it."""

from __future__ import annotations

from typing import Protocol

from edgesdk_agent.frame import Frame
from edgesdk_agent.meter import Cause


class PictureStage(Protocol):
    """A stage on one camera's capture thread: a mask, a gate.

    It runs before a frame takes the place of one that waits, so that a frame that is left out costs no other. It is to
    be quick, as the camera is not read meanwhile, and never raises.
    """

    def __call__(self, frame: Frame) -> Cause | None:
        """Write into the frame's picture, or return why the frame is left out, or both do nothing (None)."""
        ...
