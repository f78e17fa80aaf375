"""Cameras at the device itself: V4L2, CSI, and whatever a GStreamer pipeline reads."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.live import supervised
from edgesdk_agent.cameras.openers.loading import CAMERAS, load
from edgesdk_agent.cameras.openers.network import recording
from edgesdk_agent.cameras.openers.wishes import rate, wanted_frames, warn_of_unused_decoder
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl, redact_text


def open_v4l2(device: int, options: SourceOptions) -> Camera:
    """Open `/dev/videoN`."""
    warn_of_unused_decoder(options, "a V4L2 camera")
    v4l2 = load(f"{CAMERAS}.opencv_sources:open_v4l2")
    counts, size = CameraCounts(), {"width": options.width, "height": options.height}
    return supervised(
        lambda _: v4l2(device, **size, fps=options.fps, wanted=wanted_frames(options), counts=counts),
        SecretUrl(f"/dev/video{device}"),
        options,
        counts,
    )


def open_csi(source: str, rest: str, options: SourceOptions) -> Camera:
    """Open a CSI camera of a Jetson or Raspberry Pi."""
    if not re.fullmatch(r"\d{0,2}", rest):
        raise InputError(f"{source!r} names no CSI camera.", hint="Use csi:0 for the first one.")
    # Every Jetson's root file system has this file; on a Pi it is Picamera2 that opens the camera.
    jetson = Path("/etc/nv_tegra_release").exists()
    csi = load(f"{CAMERAS}.gstreamer:open_csi" if jetson else f"{CAMERAS}.picamera2:PiCamera")
    return supervised(
        lambda _: csi(int(rest or 0), width=options.width, height=options.height, fps=_sensor_fps(options)),
        SecretUrl(source),
        options,
        CameraCounts(),
    )


def _sensor_fps(options: SourceOptions) -> float | None:
    """A sensor is asked for no more than is wanted; it chooses its own rate where nothing is asked."""
    return options.fps if options.detect_fps is None else rate(options, None)


def open_gstreamer(source: str, pipeline: str, options: SourceOptions) -> Camera:
    """Open a pipeline that ends in raw video."""
    warn_of_unused_decoder(options, "a GStreamer pipeline, which names its own")
    live = options.live is not False
    open_pipeline, counts = load(f"{CAMERAS}.gstreamer:GStreamerCamera"), CameraCounts()

    def opener(silent_s: float) -> Camera:
        camera: Camera = open_pipeline(
            pipeline,
            live=live,
            open_timeout_s=options.open_timeout_s,
            timeout_s=silent_s,
            counts=counts,
            description=redact_text(f"gst:{pipeline}"),
        )
        return camera

    if live:
        return supervised(opener, SecretUrl(source), options, counts)
    return recording(partial(opener, options.open_timeout_s), redact_text(source), options, counts)
