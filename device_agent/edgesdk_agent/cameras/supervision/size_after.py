"""Whether a camera that was opened again has pictures of another size: a change of size, or a false alarm of one."""

from __future__ import annotations

import logging

from edgesdk_agent.cameras.camera import CameraCounts, CameraInfo
from edgesdk_agent.cameras.conversion_price import MOST_ALARMS

log = logging.getLogger(__name__)


def note_size(before: CameraInfo, now: CameraInfo, counts: CameraCounts, *, suspected: bool) -> None:
    """Count a camera that came back with pictures of another size, as many break off their stream to change it.

    Args:
        before, now: what it delivered, and delivers.
        counts: `resized` is counted, or `size_alarms`.
        suspected: it was opened again because its pictures seemed to be of another size.
    """
    sizes = [(info.width, info.height) for info in (before, now)]
    if (0, 0) in sizes:
        return
    if sizes[0] != sizes[1]:
        changed = f"{before.width}x{before.height} to {now.width}x{now.height}"
        log.warning("%s came back changed from %s", now.description, changed)
        counts.resized += 1
    elif suspected:
        counts.size_alarms += 1
        _tell_alarm(now, counts.size_alarms)


def _tell_alarm(info: CameraInfo, alarms: int) -> None:
    came = f"{info.description} came back at the same size, {info.width}x{info.height}: a false alarm"
    if alarms < MOST_ALARMS:
        log.warning("%s. Its conversions must be twice as dear now before they count as another size.", came)
    else:
        log.warning(
            "%s again. Its size is not watched any more: should it change in mid-stream, pictures are stretched to the old size, "
            "untold, until the camera is opened again. GStreamer (`decoder: gstreamer`) follows a change by itself.",
            came,
        )
