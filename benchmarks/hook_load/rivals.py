"""User code that a pipeline has to live with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from edgesdk_agent.frame import FrameResult

_BURN_S = 0.002
_hogs: list[threading.Thread] = []


def nothing(_: FrameResult) -> None:
    """Be no rival."""


def burn(_: FrameResult) -> None:
    """Take two milliseconds of pure Python for each frame."""
    until = time.perf_counter() + _BURN_S
    while time.perf_counter() < until:
        pass


def hog(_: FrameResult) -> None:
    """Start, with the first frame, a thread that never stops computing in pure Python."""
    if not _hogs:
        _hogs.append(threading.Thread(target=_compute, name="hog", daemon=True))
        _hogs[0].start()


RIVALS: dict[str, Callable[[FrameResult], None]] = {"none": nothing, "2 ms a frame": burn, "hog thread": hog}


def _compute() -> None:
    number = 0
    while True:
        number += 1
