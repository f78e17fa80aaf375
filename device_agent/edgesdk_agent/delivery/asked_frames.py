"""What the pipeline asks of user code before inference that runs elsewhere: somebody to ask for each camera."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from edgesdk_agent.delivery.frame_filter import Left
from edgesdk_agent.frame import Frame
from edgesdk_targets.tensor import Array


class FrameAsker(Protocol):
    """Asks about one camera's frames; all but `abort` are called by one thread."""

    def open(self) -> None:
        """Be ready.

        Raises:
            EdgeError: the user's code cannot be used at all.
        """
        ...

    def __call__(self, frame: Frame, place: int) -> Array | Left:
        """Return what the model is to see, or why it is to see nothing; what is returned stays until its place is used again."""
        ...

    def abort(self) -> None:
        """Break off what is asked just now; from another thread."""
        ...

    def close(self) -> None:
        """Let go of everything."""
        ...


@runtime_checkable
class AskedElsewhere(Protocol):
    """User code before inference that runs elsewhere."""

    def asker(self, camera: str, places: int) -> FrameAsker:
        """Return who asks about a camera's frames, each in one of so many places, numbered from 0."""
        ...
