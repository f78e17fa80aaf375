"""Calls of user code that stands in the pipeline's way, and which of them do not return in time.

Nothing can end a Python thread from outside. So the thread that such a call holds is let go: another one takes its place in
the pipeline, and when the call returns, if it ever does, it returns to a thread that has nothing more to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from edgesdk_agent.delivery.tally import Tally

# Puts another thread in the place of this one, by its identity, and says whether it is one that can be replaced.
Replace = Callable[[int], bool]

# A call that takes longer hangs, unless its settings say otherwise.
USUAL_TIMEOUT_S = 5.0


class LetGo(BaseException):
    """Raised where a call returns that was written off: another thread does the work now, and this one is to end."""


class UserCode(Protocol):
    """User code that may hold the pipeline, or cost cameras their frames."""

    def under_way(self) -> str:
        """Return the name of the user code if it is being called just now, else nothing."""
        ...

    def left_out(self) -> Mapping[str, str]:
        """Return the cameras whose frames are lost while a call with one of them hangs, and the user code's name."""
        ...


@runtime_checkable
class Watched(UserCode, Protocol):
    """User code on a thread of the pipeline: nobody notices that it hangs but who looks.

    Attributes:
        timeout_s: a call that takes longer hangs.
    """

    timeout_s: float

    def look(self, replace: Replace, /) -> None:
        """Tell a call that hangs, and let its thread be replaced where that can be; from one thread, again and again."""
        ...


class WatchedCalls:
    """The calls of one stage: at most one of each camera's frames at a time.

    A camera with whose frame it hangs gets no further calls until that one has returned; the others' frames go on.

    Args:
        tally: counts, and tells changes of state.
        timeout_s: a call that takes longer is written off.
        lost: what becomes of the camera's frames meanwhile, for the message.
        clock: monotonic seconds.
    """

    def __init__(self, tally: Tally, timeout_s: float, lost: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout_s = timeout_s
        self._tally = tally
        self._lost = lost
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: dict[str, _Call] = {}

    def begin(self, camera: str, seq: int) -> bool:
        """Note that a call begins on this thread; False where the last one with this camera's frame still hangs."""
        with self._lock:
            if camera in self._calls:
                return False
            self._calls[camera] = _Call(seq, threading.get_ident(), self._clock())
            return True

    def end(self, camera: str) -> None:
        """Note that the call has returned.

        Raises:
            LetGo: it was written off.
        """
        with self._lock:
            call = self._calls.pop(camera)
        if call.let_go:
            self._tally.held(-1)
            raise LetGo

    def look(self, replace: Replace) -> None:
        """Write off what is overdue."""
        with self._lock:
            overdue_since = self._clock() - self.timeout_s
            overdue = {
                camera: call for camera, call in self._calls.items() if call.began <= overdue_since and not call.told
            }
            for call in overdue.values():
                call.told = True
                # Under the lock: a call that returns just now waits here, and finds its thread replaced.
                call.let_go = replace(call.thread)
                self._tally.held(int(call.let_go))
        for camera, call in overdue.items():
            message = f"It has not returned within {self.timeout_s:g} s from frame {call.seq} of {camera}"
            if call.let_go:
                self._tally.hung(f"{message}; {self._lost} of {camera} until it does.")
            else:
                self._tally.trouble("hung", f"{message}, and whoever called it waits.")

    def under_way(self) -> str:
        """Return the stage's name if it holds a thread of the pipeline."""
        with self._lock:
            return self._tally.hook if any(not call.let_go for call in self._calls.values()) else ""

    def left_out(self) -> dict[str, str]:
        """Return the cameras that get no calls, and the stage's name."""
        with self._lock:
            return {camera: self._tally.hook for camera, call in self._calls.items() if call.let_go}


@dataclass(slots=True)
class _Call:
    seq: int
    thread: int
    began: float
    told: bool = False
    let_go: bool = False


def user_code_in(delivery: object) -> Iterable[UserCode]:
    """Return the user code of a delivery or a stage that may hold the pipeline; of one that is somebody's own, nothing is known."""
    user_code = getattr(delivery, "user_code", None)
    return user_code() if callable(user_code) else ()
