"""The cameras of a run, made as soon as the configuration is known: live ones are opened while the model loads."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from typing import Any

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.catalogue import open_camera
from edgesdk_agent.cameras.several import OpensEarly, unopened_cameras
from edgesdk_agent.config.camera import CameraSection


def early_cameras(sections: Iterable[CameraSection], stack: ExitStack) -> dict[str, Camera]:
    """Return the cameras, by name; `stack` closes them. Whatever may have to be waited for is waited for by its reader.

    Raises:
        InputError: a source is unknown.
    """
    cameras = unopened_cameras({section.name: partial(_opened, section) for section in sections})
    for camera in cameras.values():
        stack.callback(camera.close)
        if isinstance(camera, OpensEarly):
            camera.open_early()
    return cameras


def _opened(section: CameraSection, must_open: bool) -> Camera:
    return open_camera(
        section.source, **_source_options(section), must_open=must_open, supervision=section.supervise.limits()
    )


def _source_options(section: CameraSection) -> dict[str, Any]:
    given = {
        "live": section.live,
        "fps": section.fps,
        "detect_fps": section.detect_fps,
        "decoder": section.decoder,
        "loop": section.loop or None,
        "width": section.width,
        "height": section.height,
        "notice_sizes": section.notice_sizes,
        "isolate": section.isolate,
    }
    return {name: value for name, value in given.items() if value is not None}
