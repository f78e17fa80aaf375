"""What ended a pipeline's cameras, and the pipeline: each is noted, and told once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from edgesdk_agent.pipeline.stage_thread import StageKind
from edgesdk_targets.errors import CameraLost, EdgeError, SessionFailed
from edgesdk_targets.secret_url import redact_text

log = logging.getLogger(__name__)

_TRANSLATION: dict[StageKind, type[EdgeError]] = {
    "capture": CameraLost,
    "preprocess": SessionFailed,
    "infer": SessionFailed,
}


class Failures:
    """Note and tell errors.

    Args:
        cameras: how many there are.
        on_error: is given the error that ended the pipeline; without it `raise_first` raises it.
        on_camera_error: is given the name and the error of each camera that fails.
    """

    def __init__(
        self,
        cameras: int,
        on_error: Callable[[EdgeError], None] | None,
        on_camera_error: Callable[[str, EdgeError], None] | None,
    ) -> None:
        self._cameras = cameras
        self._on_error = on_error
        self._on_camera_error = on_camera_error
        self._lock = threading.Lock()
        self._first: EdgeError | None = None
        self._of_cameras: dict[str, EdgeError] = {}

    @property
    def of_cameras(self) -> Mapping[str, EdgeError]:
        """What ended cameras that failed, by name."""
        return dict(self._of_cameras)

    def add(self, error: EdgeError) -> None:
        """Note what ended the pipeline; the first such error counts."""
        with self._lock:
            first = self._first is None
            self._first = self._first or error
        if first and self._on_error is not None:
            _tell("on_error", self._on_error, error)

    def add_camera(self, name: str, error: EdgeError) -> bool:
        """Note what ended a camera, and say whether no camera is left now that did not fail."""
        with self._lock:
            told = name in self._of_cameras
            self._of_cameras.setdefault(name, error)
            all_failed = len(self._of_cameras) == self._cameras
        if told:
            return False
        if self._cameras > 1:
            log.error("%s: %s %s", name, error.message, error.hint)
        if self._on_camera_error is not None:
            _tell("on_camera_error", self._on_camera_error, name, error)
        return all_failed

    def raise_first(self) -> None:
        """Raise what ended the pipeline, where nobody is told of it."""
        if self._first is not None and self._on_error is None:
            raise self._first


def as_edge_error(kind: StageKind, camera: str | None, error: BaseException) -> EdgeError:
    """Return what a stage raised as an error of ours.

    Args:
        camera: whose stage it was, if it was one camera's.
    """
    if isinstance(error, EdgeError):
        return error
    log.debug("%s", threading.current_thread().name, exc_info=error)
    what = redact_text(f"{type(error).__name__}: {error}".splitlines()[0])
    whose = "The pipeline" if camera is None else camera
    return _TRANSLATION[kind](f"{whose} stopped: {what}", hint="Run with --debug to see where.")


def _tell(what: str, callback: Callable[..., object], *news: object) -> None:
    try:
        callback(*news)
    except (Exception, SystemExit):  # a plug-in's border: what is told happened, whoever hears it
        log.exception("%s raised", what)
