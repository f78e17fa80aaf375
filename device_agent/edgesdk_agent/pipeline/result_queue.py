"""Results for whoever takes them in a loop: a bounded queue, as a delivery of its own kind.

The policy goes on to the end: a result of a camera that loses nothing waits for room, and so does what is before it;
a result of a `freshest` camera takes the place of the oldest such result, which is counted as dropped. Once the
pipeline stops, nothing waits any more: what is in flight by then is bounded (what was read ahead, what the
lanes have, and what waits here), and may still be taken.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.frame import FrameResult
from edgesdk_agent.pipeline.policy import Policy
from edgesdk_targets.errors import InputError


class ResultQueue:
    """Hand results to one reader; a picture is copied, and is then the reader's own.

    Args:
        size: how many may wait.
        policies: of each camera.

    Attributes:
        readers: loops that take the results now.
        reader: the thread on which such a loop asked for its last result, as `threading.get_ident` says.
        read_out: whether a loop saw the end: there is nothing left for another.

    Raises:
        InputError: nothing may wait.
    """

    def __init__(self, size: int, policies: Mapping[str, Policy]) -> None:
        if size < 1:
            raise InputError(f"At least one result must be able to wait, not {size}.", hint="Leave `queue` out.")
        self.readers = 0
        self.reader: int | None = None
        self.read_out = False
        self._size = size
        self._policies = policies
        self._ready: deque[FrameResult] = deque()
        self._taken = self._dropped = 0
        self._patient = True
        self._swaps = 0
        self._closed = False
        self._changed = threading.Condition()
        self._on_change: Callable[[], None] | None = None

    def start(self) -> None:
        """Nothing to start."""

    def __call__(self, result: FrameResult) -> None:
        """Queue a result."""
        if result.image is not None:
            result = replace(result, image=result.image.copy())
        with self._changed:
            while self._patient and len(self._ready) >= self._size:
                oldest = next((one for one in self._ready if self._policies[one.camera] == "freshest"), None)
                if oldest is not None:
                    self._ready.remove(oldest)
                    self._dropped += 1
                elif self._policies[result.camera] == "freshest":
                    self._dropped += 1
                    return
                elif self._swaps:
                    break
                else:
                    self._changed.wait()
            self._ready.append(result)
            self._tell()

    def take(self) -> FrameResult | None:
        """Return the next result, waiting for it; None after the last."""
        with self._changed:
            # A generator may be driven by a pool: each time by another thread.
            self.reader = threading.get_ident()
            while not self._ready and not self._closed:
                self._changed.wait()
            self.read_out = not self._ready
            return self._pop()

    def poll(self) -> tuple[FrameResult | None, bool]:
        """Return the next result if there is one, and whether it was the last or none will come."""
        with self._changed:
            self.reader = threading.get_ident()
            result = self._pop()
            self.read_out = self._closed and not self._ready
            return result, self.read_out

    def on_change(self, call: Callable[[], None] | None) -> None:
        """Have `call` called, on the pipeline's thread, whenever there may be something to take or the end."""
        with self._changed:
            self._on_change = call

    @contextmanager
    def while_swapping(self) -> Iterator[None]:
        """Let no result wait for room in the block: the loop's body may be who swaps, and takes nothing until that is done."""
        with self._changed:
            self._swaps += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._swaps -= 1

    def read_here(self) -> bool:
        """Say whether the calling thread is the loop's, and the pipeline may wait for it: the end is neither seen nor asked for."""
        return self.reader == threading.get_ident() and self._patient and not self.read_out

    def hurry(self) -> None:
        """Let nothing wait for room any more."""
        with self._changed:
            self._patient = False
            self._changed.notify_all()

    def close(self, timeout_s: float) -> None:  # noqa: ARG002  (a delivery's; here nothing is waited for)
        """Note that no more results come; those that are here can still be taken."""
        with self._changed:
            self._closed = True
            self._tell()

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        with self._changed:
            return DeliveryCounts(delivered=self._taken, dropped=self._dropped, waiting=len(self._ready))

    def _pop(self) -> FrameResult | None:
        if not self._ready:
            return None
        self._taken += 1
        self._changed.notify_all()
        return self._ready.popleft()

    def _tell(self) -> None:
        self._changed.notify_all()
        if self._on_change is not None:
            self._on_change()
