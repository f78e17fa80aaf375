"""The threads of a pipeline together: who is at work, who is the last, and what they cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial

from edgesdk_agent.pipeline.camera_line import CameraLine
from edgesdk_agent.pipeline.stage_thread import Stage, StageKind, StageThread

# How soon it is seen that nobody waits any more for a thread that hangs.
_LOOK_S = 0.1

Failed = Callable[[StageKind, CameraLine | None, BaseException], None]


class Crew:
    """Start stages on threads of their own, and notice when the last of them has ended.

    Args:
        on_failure: is given what a stage raised, its kind, and its camera's line.
        on_capture_end: is given the line of a camera that is read no more.
        on_last_result: is called when the last lane has ended.

    Attributes:
        over: is set when every stage has ended.
    """

    def __init__(
        self, *, on_failure: Failed, on_capture_end: Callable[[CameraLine], None], on_last_result: Callable[[], None]
    ) -> None:
        self._on_failure = on_failure
        self._on_capture_end = on_capture_end
        self._on_last_result = on_last_result
        self._threads: list[StageThread] = []
        # Processor time of threads that were let go and have ended: they are kept no longer.
        self._spent_s: dict[str, float] = {"capture": 0.0, "preprocess": 0.0, "infer": 0.0}
        self._lock = threading.Lock()
        self._at_work: dict[StageKind, int] = {"capture": 0, "preprocess": 0, "infer": 0}
        self._lanes_left = 0
        self.over = threading.Event()

    @property
    def started(self) -> bool:
        return any(thread.started for thread in self._threads)

    def add(self, kind: StageKind, of: str, stage: Stage, line: CameraLine | None = None) -> StageThread:
        """Take on a stage; it begins with `start`.

        Args:
            of: the camera's name, the lane's number, or nothing.
            line: of the stage's camera, if it has one.
        """
        thread = StageThread(
            kind,
            of,
            stage,
            on_failure=partial(self._on_failure, kind, line),
            on_end=partial(self._ended, kind, line),
        )
        with self._lock:
            self._threads.append(thread)
            self._at_work[kind] += 1
            self._lanes_left += kind == "infer"
        return thread

    def start(self, *only: StageKind) -> None:
        """Start every thread that was not started, or those of some kinds."""
        for thread in tuple(self._threads):
            if not thread.started and (not only or thread.kind in only):
                thread.start()

    def missing_lanes(self, wanted: int) -> range:
        """Return the numbers of the lanes that are to be added, so that there are as many as wanted."""
        with self._lock:
            return range(self._lanes_left, wanted) if self.started and not self.over.is_set() else range(0)

    def replace(self, ident: int) -> bool:
        """Put another thread in the place of one that user code holds, and say whether it could be done.

        The one that is held counts no longer: nobody waits for it, and what it does when it comes back is its own affair.

        Args:
            ident: of the thread, as `threading.get_ident` says.
        """
        # All under the lock: whoever waits for the end finds either the thread that is held or the one that goes on.
        with self._lock:
            self._forget_let_go()
            # The system gives the identity of a thread that has ended to the next one.
            held = next((one for one in self.alive() if one.ident == ident), None)
            thread = None if held is None else held.successor()
            if thread is None:
                return False
            try:
                thread.start()
            except RuntimeError as error:
                cannot = error
            else:
                self._threads.append(thread)
                return True
        # What the held thread had is given up already, and there is nobody to go on: the pipeline ends, and says why. Before
        # that what it would have had to do is let go, so that at the end every frame is counted; what the runtime is at is
        # waited for after it, as that may hang as well.
        try:
            thread.abandon()
        finally:
            self._on_failure(thread.kind, None, cannot)
        thread.await_rest()
        return True

    def _forget_let_go(self) -> None:
        """Keep of the threads that were let go, and have come back since, what they cost; under the lock."""
        for thread in [one for one in self._threads if one.replaced and not one.is_alive]:
            self._spent_s[thread.kind] += thread.cpu_s()
            self._threads.remove(thread)

    def is_member(self) -> bool:
        """Say whether the calling thread is one of these."""
        return any(thread.is_current for thread in tuple(self._threads))

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of every thread, and say whether it came within the time."""
        deadline = time.monotonic() + timeout_s
        while (alive := self._alive_now()) and (left_s := deadline - time.monotonic()) > 0:
            # Not to the end: another thread may take the place of this one meanwhile.
            alive[0].join(min(left_s, _LOOK_S))
        return not alive

    def _alive_now(self) -> list[StageThread]:
        with self._lock:
            return self.alive()

    def alive(self) -> list[StageThread]:
        """Return the threads that have not ended, and in whose place no other one works."""
        return [thread for thread in tuple(self._threads) if thread.is_alive and not thread.replaced]

    def cpu_s(self) -> dict[str, float]:
        """Return the processor time of each kind of stage."""
        with self._lock:
            threads, seconds = tuple(self._threads), {**self._spent_s}
        for thread in threads:
            seconds[thread.kind] += thread.cpu_s()
        return seconds

    def _ended(self, kind: StageKind, line: CameraLine | None) -> None:
        if line is not None:
            self._on_capture_end(line)
        with self._lock:
            self._lanes_left -= kind == "infer"
            last_lane = kind == "infer" and not self._lanes_left
        # Before the stage counts as ended: whoever waits for the end waits for the last result to be taken.
        if last_lane:
            self._on_last_result()
        with self._lock:
            self._at_work[kind] -= 1
            if not any(self._at_work.values()):
                self.over.set()
