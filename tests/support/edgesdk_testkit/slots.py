"""Model slots whose timing a test decides, for the pipeline's own tests; a system test uses real models."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from edgesdk_agent.cameras.synthetic import read_stamp
from edgesdk_targets.results import Regression
from edgesdk_targets.tensor import Array

# Longer than any step of a healthy test on a busy machine; a wait that reaches it means a deadlock.
PATIENCE_S = 30.0


class Script:
    """What the slots of one model do, and what they have seen.

    Attributes:
        prepared, inferred: the synthetic cameras' frame numbers, in order; inferred also notes camera and seq.
        infer_s, prepare_s: how long each step works, without Python's lock.
        gate: when set to a semaphore, each inference waits for one permit.
        began: is released once when each inference begins.
        fail_infer, fail_prepare: raise this at that frame number.
        windowed: only every so many frames there is a result.
    """

    def __init__(self, *, infer_s: float = 0.0, prepare_s: float = 0.0, gated: bool = False, windowed: int = 1) -> None:
        self.prepared: list[int] = []
        self.inferred: list[tuple[str, int, int]] = []
        self.infer_s = infer_s
        self.prepare_s = prepare_s
        self.gate = threading.Semaphore(0) if gated else None
        self.began = threading.Semaphore(0)
        self.fail_infer: dict[int, BaseException] = {}
        self.fail_prepare: dict[int, BaseException] = {}
        self.windowed = windowed
        self._never = threading.Event()

    def slots(self, count: int) -> tuple[ScriptedSlot, ...]:
        return tuple(ScriptedSlot(self) for _ in range(count))

    def work(self, seconds: float) -> None:
        """Take time as a runtime does: without Python's lock."""
        if seconds:
            self._never.wait(seconds)


class ScriptedSlot:
    """A slot that remembers the number of the frame prepared into it, and answers with it."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._memory: Array = np.zeros((8, 8, 3), np.uint8)
        self._busy = threading.Lock()

    def prepare(self, image: Array) -> None:
        assert self._busy.acquire(blocking=False), "a slot was prepared while it was inferred"
        try:
            stamp = read_stamp(image)
            self._script.work(self._script.prepare_s)
            if stamp in self._script.fail_prepare:
                raise self._script.fail_prepare[stamp]
            np.copyto(self._memory, image[:8, :8])
            self._script.prepared.append(stamp)
        finally:
            self._busy.release()

    def infer(self, camera: str, seq: int) -> Regression | None:
        assert self._busy.acquire(blocking=False), "a slot was inferred while it was prepared"
        try:
            stamp = read_stamp(self._memory)
            self._script.began.release()
            if self._script.gate is not None:
                assert self._script.gate.acquire(timeout=PATIENCE_S), "no permit for an inference came"
            self._script.work(self._script.infer_s)
            if stamp in self._script.fail_infer:
                raise self._script.fail_infer[stamp]
            self._script.inferred.append((camera, seq, stamp))
            if (seq + 1) % self._script.windowed:
                return None
            return Regression(np.array([stamp], np.float32))
        finally:
            self._busy.release()


class Prepared(Script):
    """Counts which kind of thread prepares: `preprocess`, `infer` for a lane, or `capture` for a camera's.

    Args:
        on_caller: its slots say that the thread that infers does all of the work.
    """

    def __init__(
        self, *, infer_s: float = 0.0, prepare_s: float = 0.0, gated: bool = False, on_caller: bool = False
    ) -> None:
        super().__init__(infer_s=infer_s, prepare_s=prepare_s, gated=gated)
        self.on_caller = on_caller
        self.by: Counter[str] = Counter()

    def slots(self, count: int) -> tuple[ScriptedSlot, ...]:
        return tuple(_NotingSlot(self, self.on_caller) for _ in range(count))


class _NotingSlot(ScriptedSlot):
    def __init__(self, script: Script, on_caller: bool) -> None:
        super().__init__(script)
        self.on_caller = on_caller

    def prepare(self, image: Array) -> None:
        self._script.by[threading.current_thread().name.split("-")[1]] += 1  # type: ignore[attr-defined]
        super().prepare(image)


class Ahead(Script):
    """A model on threads of its own, with a queue before them: its slots are started, and waited for later.

    Args:
        streams: how many inferences run at a time.

    Attributes:
        most_at_once: of inferences that ran; most_under_way: of those that were started and not over.
        fail_start: raise this when that frame number is started.
        waited_by: the threads that waited for an inference.
    """

    def __init__(self, streams: int = 2, *, infer_s: float = 0.0) -> None:
        super().__init__(infer_s=infer_s)
        self.threads = ThreadPoolExecutor(streams, "runtime")
        self.at_once = self.most_at_once = self.under_way = self.most_under_way = 0
        self.fail_start: dict[int, BaseException] = {}
        self.waited_by: set[str] = set()
        self.count = threading.Lock()

    def slots(self, count: int) -> tuple[ScriptedSlot, ...]:
        return tuple(AheadSlot(self) for _ in range(count))


class AheadSlot(ScriptedSlot):
    """A slot that starts ahead."""

    starts_ahead = True

    def __init__(self, script: Ahead) -> None:
        super().__init__(script)
        self._ahead = script
        self._running: Future[int] | None = None
        self._began = self.ran_s = 0.0

    def start(self) -> None:
        stamp = read_stamp(self._memory)
        if stamp in self._ahead.fail_start:
            raise self._ahead.fail_start[stamp]
        assert self._busy.acquire(blocking=False), "a slot was started while it was in use"
        self._began = time.monotonic()
        with self._ahead.count:
            self._ahead.under_way += 1
            self._ahead.most_under_way = max(self._ahead.most_under_way, self._ahead.under_way)
        self._running = self._ahead.threads.submit(self._run, stamp)

    def infer(self, camera: str, seq: int) -> Regression | None:
        if self._running is None:
            self.start()
        assert self._running is not None
        running, self._running = self._running, None
        self._ahead.waited_by.add(threading.current_thread().name)
        stamp = running.result(PATIENCE_S)
        self._ahead.inferred.append((camera, seq, stamp))
        return Regression(np.array([stamp], np.float32))

    def _run(self, stamp: int) -> int:
        script = self._ahead
        with script.count:
            script.at_once += 1
            script.most_at_once = max(script.most_at_once, script.at_once)
        try:
            script.began.release()
            script.work(script.infer_s)
            if stamp in script.fail_infer:
                raise script.fail_infer[stamp]
            return stamp
        finally:
            self.ran_s = time.monotonic() - self._began
            with script.count:
                script.at_once -= 1
                script.under_way -= 1
            self._busy.release()


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds, giving other threads way; fails the test after `PATIENCE_S`."""
    turn = threading.Event()
    for _ in range(int(PATIENCE_S / 0.001)):
        if condition():
            return
        turn.wait(0.001)
    raise AssertionError(f"{what} did not come about")
