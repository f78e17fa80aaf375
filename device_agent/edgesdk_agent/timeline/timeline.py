"""Spans of work, kept in a ring: which stage worked on which frame, on which thread, from when to when.

It costs a microsecond or two a span and no allocation, whatever the size of a frame, so that what is looked at is the
pipeline as it is. The newest spans replace the oldest. Drawing is not done on the device: see `edgesdk.timeline`.
"""

from __future__ import annotations

import threading
from array import array
from dataclasses import dataclass
from itertools import count
from typing import Literal, get_args

from edgesdk_targets.errors import InputError

# A pipeline without `on_frame` has no such stage.
TimedStage = Literal["capture", "on_frame", "preprocess", "infer", "deliver"]
STAGES: tuple[TimedStage, ...] = get_args(TimedStage)

_STAGE_CODES = {stage: code for code, stage in enumerate(STAGES)}
# A minute of one camera at 250 frames a second; 2 MB.
_SPANS = 1 << 16


@dataclass(frozen=True, slots=True)
class Span:
    """One stage's work on one frame.

    Attributes:
        stage: what was done, in the order of `STAGES`. Capturing includes waiting for the camera; `on_frame` is the user's code
            there, in a process the way to it and back too, also with a frame that it left out.
        camera, seq: of the frame.
        thread: the name of the thread, or of what works for it elsewhere: of a model that was started ahead.
        start_s, end_s: seconds of the pipeline's clock.
    """

    stage: TimedStage
    camera: str
    seq: int
    thread: str
    start_s: float
    end_s: float


class Timeline:
    """Record spans; any thread may.

    Args:
        spans: how many are kept.

    Raises:
        InputError: none would be kept.
    """

    def __init__(self, spans: int = _SPANS) -> None:
        if spans < 1:
            raise InputError("A timeline must keep at least one span.", hint="Give a few thousand.")
        self._size = spans
        # Taking a number is one step of the interpreter, so threads never write into the same place.
        self._numbers = count()
        self._taken = 0
        self._stages = array("B", bytes(spans))
        self._cameras = array("L", bytes(array("L").itemsize * spans))
        self._seqs = array("q", bytes(8 * spans))
        self._threads = array("Q", bytes(8 * spans))
        self._starts = array("d", bytes(8 * spans))
        self._ends = array("d", bytes(8 * spans))
        self._camera_codes: dict[str, int] = {}
        self._thread_names: dict[int, str] = {}
        # No thread has the number 1.
        self._elsewhere: dict[int, int] = {}
        self._lock = threading.Lock()

    def add(
        self, stage: TimedStage, camera: str, seq: int, start_s: float, end_s: float, *, elsewhere: bool = False
    ) -> None:
        """Record that this thread did this from then to then, or let it be done elsewhere, while it did something else."""
        thread = threading.get_ident()
        if thread not in self._thread_names or camera not in self._camera_codes:
            self._meet(thread, camera)
        if elsewhere:
            thread = self._elsewhere.get(thread) or self._meet_elsewhere(thread)
        number = next(self._numbers)
        at = number % self._size
        self._stages[at] = _STAGE_CODES[stage]
        self._cameras[at] = self._camera_codes[camera]
        self._seqs[at] = seq
        self._threads[at] = thread
        self._starts[at] = start_s
        self._ends[at] = end_s
        self._taken = number + 1

    @property
    def lost(self) -> int:
        """Spans that newer ones have replaced."""
        return max(0, self._taken - self._size)

    def spans(self) -> list[Span]:
        """Return what is kept, by its start; call it when the pipeline has ended."""
        cameras = {code: name for name, code in self._camera_codes.items()}
        kept = [
            Span(
                STAGES[self._stages[at]],
                cameras[self._cameras[at]],
                self._seqs[at],
                self._thread_names[self._threads[at]],
                self._starts[at],
                self._ends[at],
            )
            for at in range(min(self._taken, self._size))
        ]
        return sorted(kept, key=lambda span: (span.start_s, span.end_s))

    def _meet(self, thread: int, camera: str) -> None:
        with self._lock:
            self._thread_names.setdefault(thread, threading.current_thread().name)
            self._camera_codes.setdefault(camera, len(self._camera_codes))

    def _meet_elsewhere(self, thread: int) -> int:
        with self._lock:
            code = self._elsewhere[thread] = len(self._elsewhere) + 1
            self._thread_names[code] = f"{self._thread_names[thread]}-model"
        return code
