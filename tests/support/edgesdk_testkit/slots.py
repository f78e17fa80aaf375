"""Model slots whose timing a test decides, for the pipeline's own tests; a system test uses real models."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

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


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait until `condition` holds, giving other threads way; fails the test after `PATIENCE_S`."""
    turn = threading.Event()
    for _ in range(int(PATIENCE_S / 0.001)):
        if condition():
            return
        turn.wait(0.001)
    raise AssertionError(f"{what} did not come about")
