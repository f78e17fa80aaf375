"""From a source's text to an open camera.

The kinds are data, and a kind's module is imported when it is opened: listing them needs no library.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edgesdk_agent.cameras.camera import Camera, CameraCounts
from edgesdk_agent.cameras.decoders import DECODER_NAMES, SOFTWARE
from edgesdk_agent.cameras.late_recording import LateRecording
from edgesdk_agent.cameras.live import supervised
from edgesdk_agent.cameras.paced import PacedCamera
from edgesdk_agent.cameras.source_options import SourceOptions, with_text_options, with_values
from edgesdk_agent.cameras.wanted_frames import WantedFrames
from edgesdk_targets.errors import InputError
from edgesdk_targets.secret_url import SecretUrl, redact, redact_text

_RECORDED_SUFFIXES = (".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".ts")
_DEFAULT_FPS = 30.0

log = logging.getLogger(__name__)
_CAMERAS = "edgesdk_agent.cameras"


@dataclass(frozen=True, slots=True)
class SourceForm:
    """One way to name a source.

    Attributes:
        form: as it is written.
        what: what it opens.
        tried: False where the code could not be tried on its hardware.
    """

    form: str
    what: str
    tried: bool = True


SOURCE_FORMS = (
    SourceForm("FILE.mp4", "a video file, or one picture"),
    SourceForm("DIR, folder:DIR", "the pictures of a folder, by name"),
    SourceForm("rtsp://HOST/PATH", "a network camera or recorder (TCP)"),
    SourceForm("http://HOST/PATH", "MJPEG over HTTP, or a video file on a web server"),
    SourceForm("N, /dev/videoN", "a USB or other V4L2 camera", tried=False),
    SourceForm("csi:N", "a CSI camera of a Jetson or Raspberry Pi", tried=False),
    SourceForm("gst:PIPELINE", "any GStreamer pipeline, up to raw video"),
    SourceForm("synthetic:?fps=30&frames=100&width=640&height=480&seed=1", "a moving texture"),
    SourceForm("conveyor:?seed=1&fps=30&frames=100&truth=FILE", "digits on a conveyor, for the sample models"),
)


def open_camera(source: str | SecretUrl, options: SourceOptions | None = None, **values: Any) -> Camera:
    """Open the camera that `source` names.

    Args:
        source: one of `SOURCE_FORMS`.
        options: how to open it.
        **values: fields of the options, in their place, such as `live=True`.

    Raises:
        InputError: `source` names nothing that is known, or an option cannot be used.
        CameraLost: the camera does not answer.
    """
    options = with_values(options or SourceOptions(), values)
    if options.decoder not in DECODER_NAMES:
        raise InputError(f"There is no decoder {options.decoder!r}.", hint=f"One of {', '.join(DECODER_NAMES)}.")
    source = (source.reveal() if isinstance(source, SecretUrl) else source).strip()
    scheme = re.match(r"^([a-z0-9]{2,}):", source)
    if scheme and scheme.group(1) in _OPENERS:
        return _OPENERS[scheme.group(1)](source, source[scheme.end() :], options)
    if number := re.fullmatch(r"(?:/dev/video)?(\d{1,3})", source):
        return _open_v4l2(int(number.group(1)), options)
    if source and "://" not in source:
        path = Path(source).expanduser()
        if path.is_dir() or (path.is_file() and _is_picture(path)):
            return _open_folder(str(path), options)
        if path.is_file():
            return _open_file(str(path), options)
    raise InputError(
        f"There is no camera, file or folder {redact(source)!r}.",
        hint="A source is one of: " + "; ".join(f"{form.form} ({form.what})" for form in SOURCE_FORMS) + ".",
    )


def _no_decoder(options: SourceOptions, of: str) -> None:
    """Say that a decoder that is asked for is not used."""
    if options.decoder not in {"auto", "software"}:
        log.warning("decoder %s is not used: it is for RTSP and films, not for %s", options.decoder, of)


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _load("edgesdk_targets.preprocess.image_file:IMAGE_SUFFIXES")


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def _open_file(path: str, options: SourceOptions) -> Camera:
    wanted = None
    if options.detect_fps is not None:
        # Played at another rate than its own, a film has more or fewer of its seconds in one of ours.
        film = _software_film(path, options)
        own_fps = film.info.fps or _DEFAULT_FPS
        film.close()
        wanted = WantedFrames(WantedFrames(options.detect_fps).fps * own_fps / _asked(options.fps, own_fps))
    # FFmpeg is the faster reader of films; another decoder is taken where it is asked for.
    if options.decoder in {"auto", "software"}:
        return _paced(_software_film(path, options, wanted), options)
    if options.loop:
        raise InputError("A film is looped by software only.", hint="Leave `decoder` or `loop` out.")
    camera: Camera = _load(f"{_CAMERAS}.decoding:open_decoded")(
        options.decoder,
        lambda choices: _load(f"{_CAMERAS}.gstreamer_streams:open_film")(Path(path), choices, wanted=wanted),
        lambda decoder: _software_film(path, options, wanted, decoder),
    )
    return _paced(camera, options)


def _software_film(
    path: str, options: SourceOptions, wanted: WantedFrames | None = None, decoder: str = SOFTWARE
) -> Camera:
    open_file = _load(f"{_CAMERAS}.opencv_sources:open_video_file")
    camera: Camera = open_file(path, loop=options.loop, wanted=wanted, decoder=decoder)
    return camera


def _open_folder(path: str, options: SourceOptions) -> Camera:
    _no_decoder(options, "pictures of a folder")
    camera: Camera = _load(f"{_CAMERAS}.folder:FolderCamera")(path, loop=options.loop)
    return _paced(camera, options)


def _paced(camera: Camera, options: SourceOptions) -> Camera:
    """Play a recording at its speed where it is to look live; a rate that is asked for says so too."""
    live = options.live if options.live is not None else options.fps is not None
    return PacedCamera(camera, _rate(options, camera.info.fps)) if live else camera


def _rate(options: SourceOptions, own_fps: float | None) -> float:
    """Return how many pictures a second to make or play: none that are not wanted."""
    fps = _asked(options.fps, own_fps or _DEFAULT_FPS)
    return fps if options.detect_fps is None else min(fps, WantedFrames(options.detect_fps).fps)


def _wanted(options: SourceOptions) -> WantedFrames | None:
    return None if options.detect_fps is None else WantedFrames(options.detect_fps)


def _asked(value: float | None, otherwise: float) -> float:
    """Return what was asked for, also where that is 0 and will be refused."""
    return otherwise if value is None else value


def _open_stream(source: str, _: str, options: SourceOptions) -> Camera:
    url = SecretUrl(source)
    if not source.startswith("rtsp"):
        _no_decoder(options, "HTTP, which is decoded by software")
    live = options.live
    if live is None:
        live = not source.partition("?")[0].lower().endswith(_RECORDED_SUFFIXES) or source.startswith("rtsp")
    counts = CameraCounts()

    def opener(silent_s: float) -> Camera:
        def by_software(decoder: str) -> Camera:
            camera: Camera = _load(f"{_CAMERAS}.opencv_sources:open_stream")(
                url,
                live=live,
                open_timeout_s=options.open_timeout_s,
                read_timeout_s=silent_s,
                wanted=_wanted(options),
                counts=counts,
                decoder=decoder,
            )
            return camera

        def by_gstreamer(choices: Any) -> Camera:
            camera: Camera = _load(f"{_CAMERAS}.gstreamer_streams:open_rtsp")(
                url,
                choices,
                live=live,
                open_timeout_s=options.open_timeout_s,
                timeout_s=silent_s,
                wanted=_wanted(options),
                counts=counts,
            )
            return camera

        # Pictures over HTTP are JPEG, which one core decodes well, or films, which FFmpeg reads best.
        if not source.startswith("rtsp") or (options.decoder == "auto" and not live):
            return by_software(SOFTWARE)
        camera: Camera = _load(f"{_CAMERAS}.decoding:open_decoded")(options.decoder, by_gstreamer, by_software)
        return camera

    if live:
        return supervised(opener, url, options, counts)
    return _recording(partial(opener, options.read_timeout_s), str(url), options, counts)


def _recording(opener: Callable[[], Camera], description: str, options: SourceOptions, counts: CameraCounts) -> Camera:
    """Open what comes from afar and ends; where others do not wait for it, its reader does."""
    return opener() if options.must_open else LateRecording(opener, description, counts)


def _open_v4l2(device: int, options: SourceOptions) -> Camera:
    _no_decoder(options, "a V4L2 camera")
    open_v4l2 = _load(f"{_CAMERAS}.opencv_sources:open_v4l2")
    counts, size = CameraCounts(), {"width": options.width, "height": options.height}
    return supervised(
        lambda _: open_v4l2(device, **size, fps=options.fps, wanted=_wanted(options), counts=counts),
        SecretUrl(f"/dev/video{device}"),
        options,
        counts,
    )


def _open_csi(source: str, rest: str, options: SourceOptions) -> Camera:
    if not re.fullmatch(r"\d{0,2}", rest):
        raise InputError(f"{source!r} names no CSI camera.", hint="Use csi:0 for the first one.")
    # Every Jetson's root file system has this file; on a Pi it is Picamera2 that opens the camera.
    jetson = Path("/etc/nv_tegra_release").exists()
    open_csi = _load(f"{_CAMERAS}.gstreamer:open_csi" if jetson else f"{_CAMERAS}.picamera2:PiCamera")
    return supervised(
        lambda _: open_csi(int(rest or 0), width=options.width, height=options.height, fps=_sensor_fps(options)),
        SecretUrl(source),
        options,
        CameraCounts(),
    )


def _sensor_fps(options: SourceOptions) -> float | None:
    """A sensor is asked for no more than is wanted; it chooses its own rate where nothing is asked."""
    return options.fps if options.detect_fps is None else _rate(options, None)


def _open_gstreamer(source: str, pipeline: str, options: SourceOptions) -> Camera:
    _no_decoder(options, "a GStreamer pipeline, which names its own")
    live = options.live is not False
    open_pipeline, counts = _load(f"{_CAMERAS}.gstreamer:GStreamerCamera"), CameraCounts()

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
    return _recording(partial(opener, options.open_timeout_s), redact_text(source), options, counts)


def _open_synthetic(source: str, rest: str, options: SourceOptions) -> Camera:
    kind, _, text = rest.partition("?")
    if kind == "conveyor":
        return _open_conveyor(source, rest, options)
    if kind:
        raise InputError(f"There is no synthetic source {redact_text(kind)!r}.", hint="Use synthetic: or conveyor:.")
    _no_decoder(options, "made pictures")
    options = with_text_options(options, source, text)
    camera: Camera = _load(f"{_CAMERAS}.synthetic:SyntheticCamera")(
        width=int(_asked(options.width, 640)),
        height=int(_asked(options.height, 480)),
        frames=options.frames,
        seed=options.seed,
    )
    return _paced(camera, options)


def _open_conveyor(source: str, rest: str, options: SourceOptions) -> Camera:
    _no_decoder(options, "made pictures")
    options = with_text_options(options, source, rest.partition("?")[2])
    camera: Camera = _load(f"{_CAMERAS}.conveyor:ConveyorCamera")(
        seed=options.seed,
        fps=_rate(options, None),
        live=options.live is not False,
        frames=options.frames,
        truth_path=options.truth,
    )
    return camera


_OPENERS: dict[str, Callable[[str, str, SourceOptions], Camera]] = {
    "rtsp": _open_stream,
    "rtsps": _open_stream,
    "http": _open_stream,
    "https": _open_stream,
    "folder": lambda _, rest, options: _open_folder(rest, options),
    "file": lambda _, rest, options: open_camera(rest.removeprefix("//"), options),
    "csi": _open_csi,
    "gst": _open_gstreamer,
    "synthetic": _open_synthetic,
    "conveyor": _open_conveyor,
}
