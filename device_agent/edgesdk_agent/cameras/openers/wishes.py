"""What is wished for that several kinds of sources grant alike: a rate, a pace, a decoder."""

from __future__ import annotations

import logging

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_agent.cameras.wanted_frames import WantedFrames

DEFAULT_FPS = 30.0

log = logging.getLogger(__name__)


def paced(camera: Camera, options: SourceOptions) -> Camera:
    """Play a recording at its speed where it is to look live; a rate that is asked for says so too."""
    live = options.live if options.live is not None else options.fps is not None
    return PacedCamera(camera, rate(options, camera.info.fps)) if live else camera


def rate(options: SourceOptions, own_fps: float | None) -> float:
    """Return how many pictures a second to make or play: none that are not wanted."""
    fps = asked(options.fps, own_fps or DEFAULT_FPS)
    return fps if options.detect_fps is None else min(fps, WantedFrames(options.detect_fps).fps)


def wanted_frames(options: SourceOptions) -> WantedFrames | None:
    """Return which pictures are wanted; None for each."""
    return None if options.detect_fps is None else WantedFrames(options.detect_fps)


def asked(value: float | None, otherwise: float) -> float:
    """Return what was asked for, also where that is 0 and will be refused."""
    return otherwise if value is None else value


def warn_of_unused_decoder(options: SourceOptions, of: str) -> None:
    """Say that a decoder that is asked for is not used."""
    if options.decoder not in {"auto", "software"}:
        log.warning("decoder %s is not used: it is for RTSP and films, not for %s", options.decoder, of)
