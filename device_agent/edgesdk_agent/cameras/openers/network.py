"""Cameras and films at an address: RTSP, Motion JPEG over HTTP, films on a web server."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.decoders import SOFTWARE
from edgesdk_agent.cameras.late_recording import LateRecording
from edgesdk_agent.cameras.live import supervised
from edgesdk_agent.cameras.openers.loading import CAMERAS, load
from edgesdk_agent.cameras.openers.wishes import wanted_frames, warn_of_unused_decoder
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_targets.secret_url import SecretUrl

_RECORDED_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts")


def open_stream(source: str, _: str, options: SourceOptions) -> Camera:
    """Open an address; a camera is supervised, and a film that ends is not."""
    url = SecretUrl(source)
    if not source.startswith("rtsp"):
        warn_of_unused_decoder(options, "HTTP, which is decoded by software")
    live = options.live
    if live is None:
        live = not source.partition("?")[0].lower().endswith(_RECORDED_SUFFIXES) or source.startswith("rtsp")
    counts = CameraCounts()

    def opener(silent_s: float) -> Camera:
        def by_software(decoder: str) -> Camera:
            camera: Camera = load(f"{CAMERAS}.opencv_sources:open_stream")(
                url,
                live=live,
                open_timeout_s=options.open_timeout_s,
                read_timeout_s=silent_s,
                wanted=wanted_frames(options),
                counts=counts,
                decoder=decoder,
                notice_sizes=options.notice_sizes,
            )
            return camera

        def by_gstreamer(choices: Any) -> Camera:
            camera: Camera = load(f"{CAMERAS}.gstreamer_streams:open_rtsp")(
                url,
                choices,
                live=live,
                open_timeout_s=options.open_timeout_s,
                timeout_s=silent_s,
                wanted=wanted_frames(options),
                counts=counts,
            )
            return camera

        # Pictures over HTTP are JPEG, which one core decodes well, or films, which FFmpeg reads best.
        if not source.startswith("rtsp") or (options.decoder == "auto" and not live):
            return by_software(SOFTWARE)
        camera: Camera = load(f"{CAMERAS}.decoding:open_decoded")(options.decoder, by_gstreamer, by_software)
        return camera

    if live:
        return supervised(opener, url, options, counts)
    return recording(partial(opener, options.read_timeout_s), str(url), options, counts)


def recording(opener: Callable[[], Camera], description: str, options: SourceOptions, counts: CameraCounts) -> Camera:
    """Open what comes from afar and ends; where others do not wait for it, its reader does."""
    return opener() if options.must_open else LateRecording(opener, description, counts)
