"""Open the cameras of one pipeline: one that does not answer yet does not keep the others from running."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.supervision.supervised import SupervisedCamera
from edgesdk_targets.errors import CameraLost

log = logging.getLogger(__name__)


def open_cameras(openers: Mapping[str, Callable[[bool], Camera]], *, one_must: bool = True) -> dict[str, Camera]:
    """Open every camera; where there are several, a live one that does not answer is opened later, by its reader.

    Args:
        openers: by the camera's name; is told whether the camera must open.
        one_must: at least one of them is to answer at once; otherwise all are waited for.

    Raises:
        InputError: a source is unknown.
        CameraLost: none of the cameras answers, or one that is no live camera.
    """
    cameras: dict[str, Camera] = {}
    with ExitStack() as undo:
        for name, opener in openers.items():
            cameras[name] = opener(one_must and len(openers) == 1)
            undo.callback(cameras[name].close)
        absent = absent_cameras(cameras)
        if one_must and absent and len(absent) == len(cameras):
            raise next(iter(absent.values()))
        for name, loss in absent.items():
            log.warning("%s: %s It is tried again.", name, loss.message)
        undo.pop_all()
    return cameras


def absent_cameras(cameras: Mapping[str, Camera]) -> dict[str, CameraLost]:
    """Return why, for each camera that has not answered yet."""
    supervised = {name: camera for name, camera in cameras.items() if isinstance(camera, SupervisedCamera)}
    return {name: camera.absent for name, camera in supervised.items() if camera.absent is not None}
