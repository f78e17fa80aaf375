"""Films and pictures that lie on the device."""

from __future__ import annotations

from pathlib import Path

from edgesdk_agent.cameras.camera import Camera
from edgesdk_agent.cameras.decoders import SOFTWARE
from edgesdk_agent.cameras.openers.loading import CAMERAS, load
from edgesdk_agent.cameras.openers.wishes import DEFAULT_FPS, asked, paced, warn_of_unused_decoder
from edgesdk_agent.cameras.source_options import SourceOptions
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.errors import InputError


def open_file(path: str, options: SourceOptions) -> Camera:
    """Open a film."""
    wanted = None
    if options.detect_fps is not None:
        # Played at another rate than its own, a film has more or fewer of its seconds in one of ours.
        film = _software_film(path, options)
        own_fps = film.info.fps or DEFAULT_FPS
        film.close()
        wanted = WantedFrames(WantedFrames(options.detect_fps).fps * own_fps / asked(options.fps, own_fps))
    # FFmpeg is the faster reader of films; another decoder is taken where it is asked for.
    if options.decoder in {"auto", "software"}:
        return paced(_software_film(path, options, wanted), options)
    if options.loop:
        raise InputError("A film is looped by software only.", hint="Leave `decoder` or `loop` out.")
    camera: Camera = load(f"{CAMERAS}.decoding:open_decoded")(
        options.decoder,
        lambda choices: load(f"{CAMERAS}.gstreamer_streams:open_film")(Path(path), choices, wanted=wanted),
        lambda decoder: _software_film(path, options, wanted, decoder),
    )
    return paced(camera, options)


def _software_film(
    path: str, options: SourceOptions, wanted: WantedFrames | None = None, decoder: str = SOFTWARE
) -> Camera:
    open_video = load(f"{CAMERAS}.opencv_sources:open_video_file")
    camera: Camera = open_video(
        path, loop=options.loop, wanted=wanted, decoder=decoder, notice_sizes=options.notice_sizes
    )
    return camera


def open_folder(path: str, options: SourceOptions) -> Camera:
    """Open the pictures of a folder, or one picture."""
    warn_of_unused_decoder(options, "pictures of a folder")
    camera: Camera = load(f"{CAMERAS}.folder:FolderCamera")(path, loop=options.loop)
    return paced(camera, options)
