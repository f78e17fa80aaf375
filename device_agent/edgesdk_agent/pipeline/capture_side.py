"""The hand-over as capture threads see it: which picture to fill, and what becomes of one that was filled."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from edgesdk_agent.pipeline.bell import Bell, Wakes
from edgesdk_agent.pipeline.camera_line import CameraLine, FrameCell
from edgesdk_agent.pipeline.model_inputs import InputCell

# A source that does not wait for its pictures is read this often at most while nobody takes them: a loop that only writes one
# picture over the other would keep Python's lock from those who are to take them.
_TOO_FAST_S = 0.001


class CaptureSide(ABC):
    """Give pictures to capture into, and take those that are captured.

    Args:
        lines: one for each camera, made with `lock`.
        lock: of all of the hand-over.
    """

    def __init__(self, lines: Sequence[CameraLine], lock: threading.Lock) -> None:
        self._lines = tuple(lines)
        self._lock = lock
        self._preparable = Bell(lock)
        # Wakes who prepares pictures now: the thread for it, unless others do.
        self._preparers: Wakes = self._preparable
        self._aborted = False

    def picture_to_fill(self, line: CameraLine) -> FrameCell | None:
        """Return a picture to capture into, waiting for one if need be; None when this camera is to stop."""
        with self._lock:
            if line.too_fast:
                line.too_fast = False
                line.writable.wait(_TOO_FAST_S)
            while not line.may_capture():
                if line.stopping:
                    return None
                line.writable.wait()
            if line.stopping:
                return None
            line.filling = True
            if line.free:
                return line.free.pop()
            line.meter.dropped("replaced_before_preprocess")
            return line.pictures.popleft()

    def captured(self, line: CameraLine, cell: FrameCell) -> InputCell | None:
        """Make a captured picture ready to be prepared; what is returned is to be prepared by the thread that captured it."""
        with self._lock:
            line.filling = False
            if self._aborted or (line.paused and line.live):
                line.meter.dropped("stopped" if self._aborted else "paused")
                line.give_back(cell)
                return None
            if line.wanted is not None and cell.frame is not None and not line.wanted(cell.frame.captured_at):
                line.meter.dropped("governed")
                line.give_back(cell)
                return None
            if line.replaces and line.pictures:
                line.meter.dropped("replaced_before_preprocess")
                replaced = line.pictures.popleft()
                line.too_fast = _seconds_between(replaced, cell) < _TOO_FAST_S
                line.give_back(replaced)
            line.pictures.append(cell)
            if line.askable is not None:
                line.askable.wake_one()
                return None
            at_once = self._to_prepare_at_once(line)
            if at_once is None:
                self._preparers.wake_one()
            return at_once

    @abstractmethod
    def _to_prepare_at_once(self, line: CameraLine) -> InputCell | None:
        """Return a slot, and the picture that its camera's own thread is to prepare into it; None leaves that to others."""

    def limit(self, line: CameraLine, wanted: Callable[[float], bool] | None) -> None:
        """Look only at the frames of a camera that are wanted; the others are dropped and counted as `governed`."""
        with self._lock:
            line.wanted = wanted

    def not_captured(self, line: CameraLine, cell: FrameCell) -> None:
        """Give a picture back without a frame in it."""
        with self._lock:
            line.filling = False
            line.give_back(cell)

    def capture_ended(self, line: CameraLine) -> None:
        """Note that nothing more comes from this camera; what it gave is still processed."""
        with self._lock:
            line.ended = True
            (line.askable or self._preparable).wake_one()

    # --- from outside

    def pause(self, only: CameraLine | None = None, *, paused: bool) -> None:
        """Drop what live cameras bring, and let other sources wait; or go on. All of them, or one."""
        with self._lock:
            for line in self._lines if only is None else (only,):
                line.paused = paused
                line.writable.wake_one()

    def stop_capture(self, only: CameraLine | None = None) -> None:
        """Let every capture thread end, or one; what is captured is still processed."""
        with self._lock:
            for line in self._lines if only is None else (only,):
                line.stopping = True
                line.writable.wake_one()


def _seconds_between(older: FrameCell, newer: FrameCell) -> float:
    assert older.frame is not None  # noqa: S101  (both were captured into)
    assert newer.frame is not None  # noqa: S101
    return newer.frame.captured_at - older.frame.captured_at
