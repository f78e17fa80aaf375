"""A thread that runs one stage, and the processor time it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol, runtime_checkable

StageKind = Literal["capture", "preprocess", "infer"]


class Stage(Protocol):
    """A loop of the pipeline."""

    def run(self) -> None:
        """Work until what feeds this stage has ended."""
        ...

    def end(self) -> None:
        """Tell what follows that nothing more comes; called also when `run` raised."""
        ...


@runtime_checkable
class Replaceable(Protocol):
    """A stage that calls user code, which may hold its thread for ever."""

    def successor(self) -> Stage:
        """Let go of what this stage's thread is at, and return the stage that goes on in its place."""
        ...

    def abandon(self) -> None:
        """Let go of what was taken over as well, without waiting for anything: no thread could be started for it."""
        ...

    def await_rest(self) -> None:
        """Wait, perhaps for ever, until what was abandoned is at nothing any more."""
        ...


# A thread's own time is asked of the kernel. Where a piece of work takes less than the asking may, one in so many is timed,
# and stands for those before it.
_CHEAP_S = 0.0002
_UNTIMED = 15


class ProcessorTime:
    """Seconds of processor time of a kind of work, done by one thread at a time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._untimed = 0
        self._cheap = False

    def begin(self) -> float | None:
        """Begin a piece of work; what is returned is for `end`."""
        if self._cheap and self._untimed < _UNTIMED:
            self._untimed += 1
            return None
        return time.thread_time()

    def end(self, began: float | None) -> None:
        """End a piece of work."""
        if began is None:
            return
        spent = time.thread_time() - began
        self.seconds += spent * (1 + self._untimed)
        self._untimed, self._cheap = 0, spent < _CHEAP_S


class StageThread:
    """Run one stage on a thread of its own.

    A daemon, so that a driver that never returns cannot keep the process from ending.

    Args:
        kind: which stage.
        of: the camera's name or the lane's number.
        on_failure: is given what the stage raised.
        on_end: is called last.

    Attributes:
        replaced: another thread works in the place of this one, and will end the stage.
    """

    def __init__(
        self,
        kind: StageKind,
        of: str,
        stage: Stage,
        *,
        on_failure: Callable[[BaseException], None],
        on_end: Callable[[], None],
    ) -> None:
        self.kind = kind
        self.replaced = False
        self._of = of
        self._stage = stage
        self._on_failure = on_failure
        self._on_end = on_end
        self._thread = threading.Thread(target=self._run, name=f"edgesdk-{kind}{of and '-'}{of}", daemon=True)
        self._lock = threading.Lock()
        self._cpu_clock: int | None = None
        self._cpu_s = 0.0

    @property
    def name(self) -> str:
        return self._thread.name

    @property
    def started(self) -> bool:
        return self._thread.ident is not None

    @property
    def is_current(self) -> bool:
        return self._thread is threading.current_thread()

    @property
    def ident(self) -> int | None:
        return self._thread.ident

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def successor(self) -> StageThread | None:
        """Return the thread that is to work in the place of this one; None where its stage has no use for that."""
        if not isinstance(self._stage, Replaceable):
            return None
        stage = self._stage.successor()
        self.replaced = True
        return StageThread(self.kind, self._of, stage, on_failure=self._on_failure, on_end=self._on_end)

    def abandon(self) -> None:
        """Let go of what a thread that cannot be started has taken over."""
        if isinstance(self._stage, Replaceable):
            self._stage.abandon()

    def await_rest(self) -> None:
        """Wait for the runtime where it is still at what was abandoned."""
        if isinstance(self._stage, Replaceable):
            self._stage.await_rest()

    def cpu_s(self) -> float:
        """Return the processor time so far; a runtime's or decoder's own worker threads are not in it."""
        with self._lock:
            # Read from outside, so that the loop itself pays nothing for being watched.
            return self._cpu_s if self._cpu_clock is None else time.clock_gettime(self._cpu_clock)

    def _run(self) -> None:
        with self._lock:
            # Where a system cannot tell, the time is known when the thread has ended.
            clock_of = getattr(time, "pthread_getcpuclockid", None)
            self._cpu_clock = clock_of(threading.get_ident()) if clock_of else None
        try:
            self._stage.run()
        except BaseException as error:  # noqa: BLE001  (a thread's top: whatever it is ends the pipeline, explained)
            if not self.replaced:
                self._on_failure(error)
        finally:
            if not self.replaced:
                self._stage.end()
            with self._lock:
                self._cpu_s, self._cpu_clock = time.thread_time(), None
            if not self.replaced:
                self._on_end()
