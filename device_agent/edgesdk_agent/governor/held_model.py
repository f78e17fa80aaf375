"""The model that runs, and whose turn it is to change it: steering, the governor and the watchdog's repair all may."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from edgesdk_targets.chain import Chain
from edgesdk_targets.errors import EdgeError
from edgesdk_targets.model import Model

log = logging.getLogger(__name__)

_MEND_WITHIN_S = 10.0


class Swappable(Protocol):
    """What is asked of a pipeline."""

    def swap_model(self, model: Model | Chain, timeout_s: float = ...) -> None:
        """Let another model take over between two frames."""
        ...


class HeldModel:
    """The model of a pipeline.

    Args:
        model: of the start.

    Attributes:
        now: the model of the start, or what steering put in its place; not what the governor runs for a while.
    """

    def __init__(self, pipeline: Swappable, model: Model | Chain) -> None:
        self._pipeline = pipeline
        # What takes over at the same moment from two sides would close what the other one uses.
        self._lock = threading.RLock()
        self.now = model

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let nobody else change the model meanwhile."""
        with self._lock:
            yield

    def mend(self) -> None:
        """Give the inference stage fresh inputs, soon, and wake every thread of it; a runtime that hangs is not mended so."""
        # It may hang as well, and whoever looks after the agent must not.
        threading.Thread(target=self._mend, name="edgesdk-mend", daemon=True).start()

    def _mend(self) -> None:
        try:
            if not self._lock.acquire(timeout=_MEND_WITHIN_S / 2):
                log.warning("The model is being changed; the inference stage is left alone")
                return
            try:
                self._pipeline.swap_model(self.now, _MEND_WITHIN_S / 2)
            finally:
                self._lock.release()
            log.warning("The inference stage was started again")
        except EdgeError as error:
            log.warning("The inference stage could not be started again: %s", error.message)
        except Exception:  # the thread's top: the watchdog ends the process if this did not mend it
            log.exception("The inference stage could not be started again")
