"""Do to the pipeline what a plan says: limit cameras at once, change the model on a thread of its own.

Loading a model takes seconds, and the health monitor must not stand still for it. The model of the start stays loaded, so
that the way back is short; another one is closed when it is left.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from edgesdk_agent.governor.ladder import Plan, limits_of
from edgesdk_agent.health.monitor import Tell
from edgesdk_targets.errors import EdgeError

log = logging.getLogger(__name__)


class Governed(Protocol):
    """What is asked of a pipeline."""

    def limit_rate(self, camera: str, fps: float | None) -> None:
        """Let so many of a camera's frames a second through."""
        ...


ModelSwap = Callable[[str, str], AbstractContextManager[object]]


class PipelineActuator:
    """Acts on one pipeline.

    Args:
        pipeline: whose cameras are limited.
        fps: returns the rates of its live cameras by name, as they are now.
        important: names of cameras, the most important first.
        swap: loads the variant of a bundle, lets it take over, and returns what closes it; with two empty texts it lets
            the model of the start take over again. None where the model cannot be changed.
        tell: reports that a model could not be changed.
    """

    def __init__(
        self,
        pipeline: Governed,
        fps: Callable[[], Mapping[str, float]],
        important: Sequence[str],
        swap: ModelSwap | None,
        tell: Tell,
    ) -> None:
        self._pipeline = pipeline
        self._fps = fps
        self._important = tuple(important)
        self._swap = swap
        self._tell = tell
        self._model = ("", "")
        self._loaded: AbstractContextManager[object] | None = None
        # What may have a frame in hand still; closed with the rest.
        self._left: list[AbstractContextManager[object]] = []
        self._worker: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether a model is being changed."""
        return self._worker is not None and self._worker.is_alive()

    def apply(self, plan: Plan) -> None:
        """Do what the plan says."""
        for camera, fps in limits_of(plan, self._fps(), self._important).items():
            self._pipeline.limit_rate(camera, fps)
        wanted = (plan.bundle, plan.variant)
        if self._swap is not None and wanted != self._model:
            self._worker = threading.Thread(
                target=self._change, args=(self._swap, wanted), name="edgesdk-governor", daemon=True
            )
            self._worker.start()

    def begin_again(self, *, close: bool) -> None:
        """Note that another model of the start runs now; what the governor had loaded is closed now, or kept until `close`."""
        self._model = ("", "")
        if close:
            self._leave()
        elif self._loaded is not None:
            self._left.append(self._loaded)
            self._loaded = None

    def close(self) -> None:
        """Close every model that is not that of the start; the pipeline must have ended."""
        if self._worker is not None:
            self._worker.join(2.0)
        self._leave()
        while self._left:
            self._left.pop().__exit__(None, None, None)

    def _change(self, swap: ModelSwap, wanted: tuple[str, str]) -> None:
        try:
            taken = swap(*wanted)
        except EdgeError as error:
            log.warning("governor: %s %s", error.message, error.hint)
            self._tell("governor_failed", "error", f"The model could not be changed: {error.message}")
            return
        except Exception as error:  # the thread's top: what is not changed stays as it was
            log.exception("governor: the model could not be changed")
            self._tell("governor_failed", "error", f"The model could not be changed: {type(error).__name__}")
            return
        self._leave()
        self._model, self._loaded = wanted, taken

    def _leave(self) -> None:
        if self._loaded is not None:
            self._loaded.__exit__(None, None, None)
            self._loaded = None
