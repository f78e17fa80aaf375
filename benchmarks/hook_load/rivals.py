"""User code that a pipeline has to live with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgesdk_agent.frame import Frame, FrameResult
from edgesdk_targets.tensor import Array

_BURN_S = 0.002
_hogs: list[threading.Thread] = []


def nothing(_: FrameResult) -> None:
    """Be no rival."""


def burn(_: Frame | FrameResult) -> None:
    """Take two milliseconds of pure Python for each frame."""
    until = time.perf_counter() + _BURN_S
    while time.perf_counter() < until:
        pass


def hog(_: FrameResult) -> None:
    """Start, with the first frame, a thread that never stops computing in pure Python."""
    if not _hogs:
        _hogs.append(threading.Thread(target=_compute, name="hog", daemon=True))
        _hogs[0].start()


def burn_frame(frame: Frame) -> Array:
    """Take two milliseconds of pure Python, before the model, and show it the picture."""
    burn(frame)
    return frame.image


def burn_result(frame: FrameResult) -> FrameResult:
    """Take two milliseconds of pure Python, after the model, and let the result through."""
    burn(frame)
    return frame


def show(frame: Frame) -> Array:
    """Show the model the picture."""
    return frame.image


# A stage before the model, by what it does; and one after it.
FRAME_STAGES: dict[str, Callable[[Frame], Array]] = {"2 ms a frame": burn_frame, "none": show}
RESULT_STAGES: dict[str, Callable[[FrameResult], FrameResult]] = {"2 ms a frame": burn_result}
RIVALS: dict[str, Callable[[FrameResult], None]] = {"none": nothing, "2 ms a frame": burn, "hog thread": hog}


def _compute() -> None:
    number = 0
    while True:
        number += 1
