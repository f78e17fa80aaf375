"""A bounded queue from the pipeline to one hook, and what happens when the hook is slower than the frames.

- `wait`: the pipeline waits for the hook, as for any other stage, also while its process is started again. It does not
  wait for ever: after `patience_s` without room the hook counts as stalled, and until it takes a result again each one
  is dropped at once. Who gives on what he took is waited for without end, as if the pipeline itself gave it.
- `drop_oldest`: the pipeline never waits; the hook gets the newest results, and what it had no time for is dropped.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from edgesdk_agent.delivery.hook_limits import WhenFull
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.tensor import Array

# For a process that is started again, the pipeline waits so long, if not longer for the hook; less than a stop may take.
_RESTARTS_WITHIN_S = 8.0


class PictureMemory(Protocol):
    """Room for one picture, which is kept and used again."""

    def hold(self, image: Array) -> Array:
        """Copy a picture in, and return it as it is here."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


M = TypeVar("M", bound=PictureMemory)


@dataclass(frozen=True, slots=True)
class Waiting(Generic[M]):
    """A result on its way to the hook.

    Attributes:
        result: its picture, where it has one, is in `memory`.
        memory: None where the result has no picture.
    """

    result: FrameResult
    memory: M | None


class HandOff(Generic[M]):
    """Hand results from one thread at a time to one reader.

    Args:
        memories: room for pictures, one more than may wait: one is with the hook.
        when_full: the policy, as above.
        patience_s: how long `wait` waits for room.
    """

    def __init__(self, memories: Sequence[M], when_full: WhenFull, patience_s: float) -> None:
        self._when_full = when_full
        self._patience_s = patience_s
        self._free = list(memories)
        self._room = len(memories) - 1
        self._ready: deque[Waiting[M]] = deque()
        self._stalled = False
        self._closed = False
        self._restarting = self._giving_on = False
        self._restarted_at = 0.0
        self._lock = threading.Lock()
        self._readable = threading.Condition(self._lock)
        self._writable = threading.Condition(self._lock)

    @property
    def closed(self) -> bool:
        """Whether nothing is taken any more."""
        return self._closed

    def restarting(self, *, now: bool) -> None:
        """Say that the reader is being started again, or no longer: that is no time of the hook's own."""
        with self._lock:
            self._restarting = now
            self._restarted_at = time.monotonic()
            self._writable.notify_all()

    def giving_on(self, *, now: bool) -> None:
        """Say that the reader gives what it took to others, or is done with that: their time is none of its own."""
        with self._lock:
            self._giving_on = now
            self._stalled = False
            self._writable.notify_all()

    def put(self, result: FrameResult, on_drop: Callable[[], None]) -> None:
        """Hand a result over; `on_drop` is called for each that is lost by it, this one or an older one."""
        dropped = False
        with self._lock:
            if len(self._ready) >= self._room:
                dropped = self._when_full == "drop_oldest" or not self._wait_for_room()
            if self._closed or (dropped and self._when_full == "wait"):
                memory = None
                refused = True
            else:
                refused = False
                if dropped:
                    self._give_back(self._ready.popleft())
                memory = self._free.pop() if result.image is not None else None
        if dropped or refused:
            on_drop()
        if refused:
            return
        # Outside the lock: the hook may take what waits while a picture is copied.
        if memory is not None and result.image is not None:
            result = replace(result, image=memory.hold(result.image))
        with self._lock:
            if not self._closed:
                self._ready.append(Waiting(result, memory))
                self._readable.notify()
                return
        on_drop()

    def take(self) -> Waiting[M] | None:
        """Return the next result, waiting for it; None when the hand-off is closed and empty."""
        with self._lock:
            while not self._ready:
                if self._closed:
                    return None
                self._readable.wait()
            self._stalled = False
            waiting = self._ready.popleft()
            self._writable.notify()
            return waiting

    def release(self, waiting: Waiting[M]) -> None:
        """Give back the room of a picture that the hook is done with."""
        with self._lock:
            self._give_back(waiting)

    def close(self) -> None:
        """Take nothing more; what waits can still be taken."""
        with self._lock:
            self._closed = True
            self._readable.notify_all()
            self._writable.notify_all()

    def abort(self) -> int:
        """Close, drop what waits, and return how many that were."""
        with self._lock:
            dropped = len(self._ready)
            while self._ready:
                self._give_back(self._ready.popleft())
        self.close()
        return dropped

    def _wait_for_room(self) -> bool:
        if self._stalled:
            return False
        began = time.monotonic()
        while not self._closed and len(self._ready) >= self._room:
            if self._giving_on:
                self._writable.wait()
                began = time.monotonic()
                continue
            at_last = began + max(self._patience_s, _RESTARTS_WITHIN_S)
            patient_until = max(began, self._restarted_at) + self._patience_s
            left_s = (at_last if self._restarting else min(patient_until, at_last)) - time.monotonic()
            if left_s <= 0:
                self._stalled = True
                return False
            self._writable.wait(left_s)
        return True

    def _give_back(self, waiting: Waiting[M]) -> None:
        if waiting.memory is not None:
            self._free.append(waiting.memory)
