"""Break a real RTSP camera and see it come back: what the system test does a few times, and the benchmark twenty times."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgesdk_agent.cameras.camera import Camera, CameraCounts, FrameLost, counts_of, health_of
from edgesdk_agent.cameras.supervision.limits import SupervisionLimits
from edgesdk_targets.tensor import Array
from edgesdk_testkit.rtsp_server import RtspServer

if TYPE_CHECKING:
    from typing_extensions import Self

Fault = Literal["killed", "frozen"]
OPEN_TIMEOUT_S = 3.0
# Quick ones, so that a cycle takes seconds; what is shown of them holds of the slow ones.
LIMITS = SupervisionLimits(
    silent_after_s=1.0, retry_most_s=0.5, offline_retry_s=0.5, steady_after_s=0.5, keep_trying=True
)
# From when the camera answers again: a try that began while it did not, the wait before the next, and opening it.
_OPENS_WITHIN_S = 2.0
BOUND_S = LIMITS.silent_after_s + LIMITS.retry_most_s + OPEN_TIMEOUT_S + _OPENS_WITHIN_S


class Watched:
    """Read a camera as the pipeline's capture thread does, and note when pictures came; use it in a `with` statement."""

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.times: list[float] = []
        self.states: list[str] = []
        self.error: Exception | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> Self:
        """Begin to read; nothing is waited for."""
        lend = getattr(self.camera, "lend_pictures", None)
        if lend is not None:
            lend()
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the camera, and wait for its reader."""
        self.camera.close()
        self._thread.join()

    def ended(self, within_s: float) -> bool:
        """Wait for the end of the reading by itself, and say whether it came."""
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def __enter__(self) -> Self:
        self.start()
        self.wait_for(lambda: len(self.times) >= 5, "the first pictures")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def counts(self) -> CameraCounts:
        return counts_of(self.camera)

    def wait_for(self, holds: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
        """Wait until something holds; it is looked at with each picture, and ten times a second."""
        deadline = time.monotonic() + within_s
        with self._changed:
            while not holds():
                if self.error is not None:
                    raise self.error
                if time.monotonic() > deadline:
                    raise AssertionError(f"{what}: not within {within_s:g} s; {health_of(self.camera)}")
                self._changed.wait(0.1)

    def first_after(self, at: float) -> float | None:
        """Return when the first picture after a moment came."""
        return next((one for one in self.times if one > at), None)

    def _run(self) -> None:
        out: Array | None = None
        try:
            while True:
                try:
                    picture = self.camera.read(out)
                except FrameLost:
                    continue
                if picture is None:
                    return
                out = picture
                with self._changed:
                    self.times.append(time.monotonic())
                    state = health_of(self.camera).state
                    if self.states[-1:] != [state]:
                        self.states.append(state)
                    self._changed.notify_all()
        except Exception as error:
            self.error = error


@dataclass(frozen=True, slots=True)
class Held:
    """What this process holds: open files, threads of the kernel, resident bytes, children."""

    files: int
    threads: int
    rss_bytes: int
    children: int


def held() -> Held:
    """Look at what this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = sum(len(task.read_text().split()) for task in Path("/proc/self/task").glob("*/children"))
    return Held(
        files=len(list(Path("/proc/self/fd").iterdir())),
        threads=len(list(Path("/proc/self/task").iterdir())),
        rss_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
        children=children,
    )


def break_and_mend(server: RtspServer, watched: Watched, fault: Fault) -> float:
    """Break a camera until that is noticed, mend it, and return after how many seconds the first picture came.

    Raises:
        AssertionError: the fault was not noticed, or the camera did not come back.
    """
    if fault == "killed":
        server.stop()
    else:
        server.freeze()
    try:
        watched.wait_for(lambda: health_of(watched.camera).state != "online", f"{fault}: to be noticed")
    finally:
        if fault == "killed":
            server.start()
        else:
            server.thaw()
    back = time.monotonic()
    watched.wait_for(lambda: watched.first_after(back) is not None, f"{fault}: to come back")
    came = watched.first_after(back)
    assert came is not None
    # Both attempts and limits are whole again before the next fault.
    watched.wait_for(lambda: watched.times[-1] - came > LIMITS.steady_after_s, "steady pictures")
    return came - back


def stop_reader(camera: Any) -> int:
    """Let the reader's process of an isolated camera hang, and return its number."""
    pid: int = camera._camera.pid
    os.kill(pid, signal.SIGSTOP)
    return pid
