"""What the pipeline asks of user code before inference that runs elsewhere: somebody to ask for each camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.frame_filter import FrameFilter, Left
from edgesdk_agent.delivery.plain_function import check_plain
from edgesdk_agent.frame import Frame
from edgesdk_targets.errors import InputError
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
    """User code before inference that runs elsewhere; it is no function itself."""

    def askers(self, places: Mapping[str, int]) -> Mapping[str, FrameAsker]:
        """Return who asks about each camera's frames, by the camera's name; once.

        Args:
            places: by camera, in how many places its frames are given, numbered from 0.

        Raises:
            InputError: a pipeline has them already.
        """
        ...

    def counts(self) -> DeliveryCounts:
        """Return what became of the frames."""
        ...


def filter_of(on_frame: object, timeout_s: float) -> FrameFilter | AskedElsewhere | None:
    """Return what was given as `on_frame`: nothing, itself, or a function on the preprocessing thread.

    Args:
        timeout_s: a call of a function that takes longer hangs.

    Raises:
        InputError: it is none of these.
    """
    if on_frame is None or isinstance(on_frame, FrameFilter):
        return on_frame
    # A function may have attributes of any name.
    if callable(on_frame):
        check_plain(on_frame, "`on_frame`")
        return FrameFilter(on_frame, timeout_s=timeout_s)
    if isinstance(on_frame, AskedElsewhere):
        return on_frame
    message = f"`on_frame` is to be a function or what `frame_filter` returns, not {on_frame!r}."
    raise InputError(message, hint="Leave it out to show the model every frame as it is.")
