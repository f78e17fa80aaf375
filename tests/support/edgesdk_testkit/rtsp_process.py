"""The RTSP server's process: `python -m edgesdk_testkit.rtsp_process JSON PORT`, under the system's Python with GStreamer.

The JSON is a list of streams (`RtspStream` in `rtsp_server`). Prints the server's port, and serves until its standard
input closes; a line there changes what is shown. Only the standard library and GStreamer are imported.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gi  # type: ignore[import-not-found]

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
gi.require_version("GstRtsp", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: E402

from edgesdk_testkit.pixel_stamp import stamp_i420  # noqa: E402

_DEMUX = 'filesrc location="{file}" ! parsebin ! h264parse'
_ENCODED = "{demux} ! video/x-h264,stream-format=byte-stream,alignment=au"
_PAY = "rtph264pay name=pay0 pt=96 config-interval=-1"
_VIEWER = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
_SOURCE = "appsrc name=source is-live=true format=time"
# As long as a film is kept in memory; longer ones begin again earlier.
_MOST_PICTURES = 150


_changed = threading.Event()


@dataclass
class Film:
    """A film in memory: encoded frames, or pictures as planes of luma and colour."""

    pictures: list[bytes]
    width: int
    height: int


@dataclass
class Schedule:
    """When each picture is due: at `fps`, and after `then_after_s` (where it is not 0) at another rate.

    With `then_fps` 0 the rate stays, and one and the same picture is sent.
    """

    fps: float
    then_after_s: float
    then_fps: float

    def at(self, number: int) -> float:
        """Return the seconds after the start."""
        first = self.then_after_s * self.fps
        if not self.then_after_s or number <= first:
            return number / self.fps
        return self.then_after_s + (number - first) / (self.then_fps or self.fps)

    def number(self, at: float) -> int:
        """Return which picture is due at so many seconds."""
        if not self.then_after_s or at <= self.then_after_s:
            return int(at * self.fps)
        return int(self.then_after_s * self.fps + (at - self.then_after_s) * (self.then_fps or self.fps))

    def still(self, at: float) -> bool:
        """Say whether it is the same picture as before."""
        return 0 < self.then_after_s <= at and not self.then_fps


@dataclass
class Shown:
    """What a stream shows: a film, and another one once that is asked for."""

    film: Film
    then: Film | None

    def pictures(self) -> list[bytes]:
        """Return those of the film that is shown now."""
        return self.then.pictures if self.then is not None and _changed.is_set() else self.film.pictures


def main(streams: list[dict[str, Any]], port: str, login: str) -> None:
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    if login:
        _protect(server, *login.split(":", 1))
    loaded: dict[tuple[Any, ...], Film] = {}
    for stream in streams:
        factory = _factory(stream, loaded)
        if login:
            factory.add_role_from_structure(Gst.Structure.from_string(_VIEWER)[0])
        server.get_mount_points().add_factory(f"/{stream['name']}", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.io_add_watch(sys.stdin, GLib.IO_IN, lambda *_: _changed.set() or bool(sys.stdin.readline()))
    GLib.io_add_watch(sys.stdin, GLib.IO_HUP, lambda *_: loop.quit())
    loop.run()


def _protect(server: Any, user: str, password: str) -> None:
    """Ask everybody for a login, by Basic and Digest authentication as cameras do."""
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)


def _factory(stream: dict[str, Any], loaded: dict[tuple[Any, ...], Film]) -> Any:
    factory = GstRtspServer.RTSPMediaFactory()
    demux = _DEMUX.format(file=stream["file"])
    if stream["play"] == "once":
        factory.set_launch(f"( {demux} ! {_PAY} )")
        return factory
    fps, stamped = stream["fps"], stream["play"] == "stamped"
    # Eight paths of one film keep it once.
    key = (stream["file"], stamped, stream["width"], stream["height"])
    if key not in loaded:
        size = f",width={stream['width']},height={stream['height']}" if stream["width"] else ""
        loaded[key] = (
            _film(f"{demux} ! decodebin ! videoconvert ! videoscale ! video/x-raw,format=I420{size}")
            if stamped
            else _film(_ENCODED.format(demux=demux))
        )
    film = loaded[key]
    then = _film(_ENCODED.format(demux=_DEMUX.format(file=stream["then_file"]))) if stream["then_file"] else None
    rate = f"width={film.width},height={film.height},framerate={round(fps * 1000)}/1000"
    if stamped:
        factory.set_launch(
            f'( {_SOURCE} caps="video/x-raw,format=I420,{rate}" ! x264enc tune=zerolatency speed-preset=ultrafast '
            f"threads=1 key-int-max={max(1, round(2 * fps))} bitrate=4000 ! {_PAY} )"
        )
    else:
        factory.set_launch(
            f'( {_SOURCE} caps="video/x-h264,stream-format=byte-stream,alignment=au,{rate}" ! h264parse ! {_PAY} )'
        )
    finished = _stamping(film.width, film.height) if stamped else None
    factory.set_shared(stamped)
    schedule = Schedule(fps, stream["then_after_s"], stream["then_fps"])
    shown = Shown(film, then)
    factory.connect("media-configure", lambda _, media: _feed(media, shown, schedule, finished))
    return factory


def _stamping(width: int, height: int) -> Callable[[bytes], bytes]:
    def stamped(picture: bytes) -> bytes:
        frame = bytearray(picture)
        stamp_i420(frame, width, height, time.monotonic())
        return bytes(frame)

    return stamped


def _feed(
    media: Any,
    shown: Shown,
    schedule: Schedule,
    finished: Callable[[bytes], bytes] | None,
) -> None:
    """Push picture after picture when it is due, without an end, until nobody watches."""
    source = media.get_element().get_child_by_name("source")
    over = threading.Event()
    media.connect("unprepared", lambda _: over.set())

    def run() -> None:
        started, number, begun, before = time.monotonic(), 0, 0, shown.pictures()
        while not over.wait(max(0.0, started + schedule.at(number) - time.monotonic())):
            if (pictures := shown.pictures()) is not before:
                # Another film begins with its key frame.
                before, begun = pictures, number
            picture = pictures[0 if schedule.still(schedule.at(number)) else (number - begun) % len(pictures)]
            buffer = Gst.Buffer.new_wrapped(finished(picture) if finished else picture)
            # The appsrc could stamp it itself, but not before the pipeline runs; the encoder then stumbles over the first.
            buffer.pts = buffer.dts = int((time.monotonic() - started) * 1e9)
            if source.emit("push-buffer", buffer) == Gst.FlowReturn.EOS:
                return
            # A stamped picture is made now: what it was too late for is left out. A film is sent whole.
            number = max(number + 1, schedule.number(time.monotonic() - started)) if finished else number + 1

    threading.Thread(target=run, daemon=True).start()


def _film(text: str) -> Film:
    """Keep what a pipeline delivers, buffer by buffer."""
    pipeline = Gst.parse_launch(f"{text} ! appsink name=sink sync=false max-buffers=4")
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    found, caps = [], None
    while len(found) < _MOST_PICTURES and (sample := sink.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        found.append(buffer.extract_dup(0, buffer.get_size()))
        caps = caps or sample.get_caps()
    message = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if not found:
        raise SystemExit(f"nothing came out of {text}: {message.parse_error() if message else 'no error told'}")
    structure = caps.get_structure(0)
    return Film(found, structure.get_value("width"), structure.get_value("height"))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *sys.argv[2:4])
