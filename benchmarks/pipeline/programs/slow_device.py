"""A device that is slower than this machine: each inference takes as long as it would there, the one after the other.

The time is that of the whole stage, and not a pause on top: so a model of 60 ms is one of 60 ms whatever this machine's
processor makes of the real inference inside, and a goal in results a second means the same on every machine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class SlowDevice:
    """One device, whatever number of threads asks it.

    Args:
        stage_ms: of one inference in all; 0 is this machine as it is.
    """

    def __init__(self, stage_ms: float) -> None:
        self._stage_s = stage_ms / 1e3
        self._busy = threading.Lock()

    @contextmanager
    def inference(self) -> Iterator[None]:
        """Infer in the body; what is left of the stage is slept away, without Python's lock."""
        if not self._stage_s:
            yield
            return
        with self._busy:
            over = time.monotonic() + self._stage_s
            yield
            time.sleep(max(0.0, over - time.monotonic()))
