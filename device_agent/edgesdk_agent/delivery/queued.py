"""A hook behind a bounded queue, with a thread of its own that calls it.

The thread is a daemon and is not waited for without bound: a hook that blocks for ever costs its own results, and
neither the pipeline nor its stop.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from edgesdk_agent.delivery.delivery import DeliveryCounts
from edgesdk_agent.delivery.hand_off import HandOff, PictureMemory, Waiting
from edgesdk_agent.delivery.hook_errors import count_of
from edgesdk_agent.delivery.hook_limits import WhenFull
from edgesdk_agent.delivery.tally import Tally
from edgesdk_agent.frame import FrameResult
from edgesdk_targets.errors import DeviceError, EdgeError, InputError

M = TypeVar("M", bound=PictureMemory)

# After the time of a clean end is over, what was told to break off still gets this long to do so.
_ABORT_GRACE_S = 1.0

# What ends a hook that hangs does so after the hook's time, and then takes the next result: so long the pipeline waits too.
_ENDING_S = 1.0


class HookCall(Protocol[M]):
    """How the hook is reached; all but `abort` are called by the delivery's thread only."""

    def open(self) -> None:
        """Be ready for calls.

        Raises:
            EdgeError: the hook cannot be used at all.
        """
        ...

    def __call__(self, waiting: Waiting[M]) -> Callable[[], object] | None:
        """Call the hook; whatever is raised counts as its failure.

        Returns:
            What gives on what the hook let through, where it is one that others come after; None where nothing follows.
        """
        ...

    def abort(self) -> None:
        """Break off a call that is under way, if that is possible; from another thread."""
        ...

    def close(self) -> None:
        """Let go of the hook."""
        ...


class QueuedDelivery(Generic[M]):
    """Hand results to a thread that calls the hook; what `check_limits` checks is checked.

    Args:
        call: reaches the hook.
        memories: room for the pictures, one more than may wait.
        tally: counts, and tells changes of state.
        when_full: what happens when the hook is slower than the frames; see `hand_off`.
        timeout_s: a call that takes longer is written off; with `wait` also how long the pipeline waits for room.
        ends_by_itself: whether `call` ends a hook that takes too long; else it can only be given up.
        pictures: whether the hook gets them, where the pipeline has them.
    """

    def __init__(
        self,
        call: HookCall[M],
        memories: Sequence[M],
        tally: Tally,
        *,
        when_full: WhenFull,
        timeout_s: float,
        ends_by_itself: bool,
        pictures: bool,
    ) -> None:
        self._call = call
        self._memories = memories
        self._tally = tally
        self._timeout_s = timeout_s
        self._ends_by_itself = ends_by_itself
        self._pictures = pictures
        self._hand_off = HandOff(memories, when_full, timeout_s + (_ENDING_S if ends_by_itself else 0.0))
        self._lock = threading.Lock()
        # When the present call began; None between calls, and once the call was written off as hung.
        self._began: float | None = None
        self._written_off = False
        self._opened = threading.Event()
        self._refused: EdgeError | None = None
        self._thread = threading.Thread(target=self._run, name=f"edgesdk-hook-{tally.hook}", daemon=True)

    def start(self) -> None:
        """Start the thread, and wait until the hook can be called.

        Raises:
            InputError: it ran before.
            EdgeError: it cannot.
        """
        if self._thread.ident is not None or self._hand_off.closed:
            raise InputError(f"The delivery to {self._tally.hook} runs once.", hint="Make a new one for each pipeline.")
        self._thread.start()
        try:
            self._opened.wait()
        except BaseException:
            # Ctrl-C: nobody will come to end what is being started.
            self.close(0.0)
            raise
        if self._refused is not None:
            self._thread.join()
            raise self._refused

    def __call__(self, result: FrameResult) -> None:
        """Hand a result over."""
        if result.image is not None and not self._pictures:
            result = replace(result, image=None)
        self._tally.given()
        self._hand_off.put(result, self._tally.dropped)
        if not self._ends_by_itself:
            self._write_off_if_overdue(self._timeout_s)

    def close(self, timeout_s: float) -> None:
        """Deliver what waits, within the time; drop the rest, and end. May be called twice."""
        self._hand_off.close()
        if self._thread.ident is None:
            # It may be about to start, on another thread: then it finds that it is to break off. It has opened nothing yet.
            self._call.abort()
            return
        if self.is_current():
            return
        # Nobody needs to wait for a hook that is known to hang.
        self._thread.join(0.0 if self._written_off else timeout_s)
        if self._thread.is_alive():
            self._tally.dropped(self._hand_off.abort())
            self._call.abort()
            self._thread.join(_ABORT_GRACE_S if self._ends_by_itself else 0.0)
            self._write_off_if_overdue(0.0)

    def restarting(self, now: bool) -> None:
        """Say that what calls the hook is being started again, or no longer: that is no time of the hook's own."""
        self._hand_off.restarting(now=now)

    def counts(self) -> DeliveryCounts:
        """Return what happened so far."""
        return self._tally.counts()

    def is_current(self) -> bool:
        """Say whether the calling thread is the one that calls the hook."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            self._call.open()
        except EdgeError as error:
            self._refused = error
        except Exception as error:  # noqa: BLE001  (a thread's top: whoever started it is told)
            self._refused = DeviceError(f"The hook {self._tally.hook} cannot be started: {error}")
        finally:
            if self._refused is not None:
                self._hand_off.close()
            self._opened.set()
        try:
            while (waiting := self._hand_off.take()) is not None:
                self._deliver(waiting)
                self._hand_off.release(waiting)
        finally:
            self._call.close()
            self._close_memories()

    def _deliver(self, waiting: Waiting[M]) -> None:
        with self._lock:
            self._began = time.monotonic()
        at = f"at frame {waiting.result.seq}"
        count: Callable[[], None] = self._tally.delivered
        give_on: Callable[[], object] | None = None
        try:
            give_on = self._call(waiting)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (a plug-in's border: whatever a hook does, the next result is delivered)
            count = count_of(error, at, self._tally)
        if self._over():
            count()
            if give_on is not None:
                self._give_on(give_on, at)

    def _give_on(self, give_on: Callable[[], object], at: str) -> None:
        self._hand_off.giving_on(now=True)
        try:
            give_on()
        except (Exception, SystemExit):  # noqa: BLE001  (as above: the next result is delivered)
            self._tally.trouble("failing", f"{at}, after it: {traceback.format_exc()}")
        finally:
            self._hand_off.giving_on(now=False)

    def _close_memories(self) -> None:
        for memory in self._memories:
            memory.close()

    def _over(self) -> bool:
        """Note that the call is over, and say whether it still has to be counted."""
        with self._lock:
            counted, self._began = self._began is not None, None
            self._written_off = False
        return counted

    def _write_off_if_overdue(self, after_s: float) -> None:
        with self._lock:
            if self._began is None or time.monotonic() - self._began < after_s:
                return
            self._began = None
            self._written_off = True
        self._tally.hung(f"It did not return within {self._timeout_s:g} s; results are dropped until it does.")
