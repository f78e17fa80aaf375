"""Open the cameras of one pipeline at the same time: one that does not answer keeps no other from running."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Protocol, runtime_checkable

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.supervision.attempt import Attempt
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_targets.errors import CameraLost

log = logging.getLogger(__name__)


@runtime_checkable
class OpensLate(Protocol):
    """A camera that its first read opens."""

    def open_now(self) -> None:
        """Open it before that."""
        ...


@runtime_checkable
class OpensEarly(Protocol):
    """A camera that can be opened beside other work, before its first read."""

    def open_early(self) -> None:
        """Begin to open it."""
        ...


def unopened_cameras(openers: Mapping[str, Callable[[bool], Camera]]) -> dict[str, Camera]:
    """Return the cameras; whatever may have to be waited for is opened by its reader, and is `connecting` until then.

    Args:
        openers: by the camera's name; is told whether the camera must open.

    Raises:
        InputError: a source is unknown.
    """
    cameras: dict[str, Camera] = {}
    with ExitStack() as undo:
        for name, opener in openers.items():
            cameras[name] = opener(False)
            undo.callback(cameras[name].close)
        undo.pop_all()
    return cameras


def open_cameras(openers: Mapping[str, Callable[[bool], Camera]], *, beside_others: bool = False) -> dict[str, Camera]:
    """Open every camera; where there are several, a live one that does not answer is opened later, by its reader.

    Args:
        openers: by the camera's name; is told whether the camera must open.
        beside_others: there are others, which are open already.

    Raises:
        InputError: a source is unknown.
        CameraLost: none of the cameras answers, or one that is no live camera.
    """
    if len(openers) == 1 and not beside_others:
        return {name: opener(True) for name, opener in openers.items()}
    cameras: dict[str, Camera] = {}
    with ExitStack() as undo:
        attempts = {name: Attempt(partial(_opened, opener)) for name, opener in openers.items()}
        for attempt in attempts.values():
            undo.callback(attempt.leave)
        for name, attempt in attempts.items():
            if (camera := attempt.result()) is not None:
                cameras[name] = camera
                undo.callback(camera.close)
        if (loss := none_answers(cameras)) is not None and not beside_others:
            raise loss
        for name, camera in cameras.items():
            if isinstance(camera, SupervisedCamera) and camera.absent is not None:
                log.warning("%s: %s It is tried again.", name, camera.absent.message)
        undo.pop_all()
    return cameras


def none_answers(cameras: Mapping[str, Camera]) -> CameraLost | None:
    """Return why the first camera is absent, if every one has been tried and is."""
    losses = [camera.absent if isinstance(camera, SupervisedCamera) else None for camera in cameras.values()]
    return losses[0] if losses and all(losses) else None


def _opened(opener: Callable[[bool], Camera]) -> Camera:
    camera = opener(False)
    if isinstance(camera, OpensLate):
        camera.open_now()
    return camera
