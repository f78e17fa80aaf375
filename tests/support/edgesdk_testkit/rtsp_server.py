"""Real RTSP cameras on loopback, by GStreamer's RTSP server in a process of its own under the system's Python.

    with RtspServer(file) as url:                                   the file once, at its own rate, and then the end
    with RtspServer(stamped(file, fps=30)) as url:                  without end; the time is drawn into each picture
    with RtspServer(*[looped(file, fps=5, name=f"camera{i}") for i in range(8)]) as server: server.urls

Stamps are read by `pixel_stamp.read_stamp`. Stamped pictures are encoded while they are served (x264, zero latency: about
3 ms for 640x360), as a camera does; looped ones were encoded before and cost almost nothing here, so that the processor is
the reader's. Let `missing_part()` say first whether this machine can do it.
"""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from edgesdk_testkit.system_gstreamer import SYSTEM_PYTHON, environment, missing_elements

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class RtspStream:
    """One path of a server.

    Attributes:
        file: MP4 or MKV with H.264; without B frames where it is looped.
        play: `once` to its end; `looped` without end; `stamped` without end, with the time in the pixels.
        name: the path.
        fps: at which pictures are sent; ignored for `once`.
        width, height: to which stamped pictures are scaled, multiples of 8; the film's own where 0.
        then_after_s: so long after a client came, go on at `then_fps`; 0 never.
        then_fps: at which pictures then come; 0 sends one and the same picture, at the old rate.
        then_file: a looped stream goes on with this file after `change`, for whoever comes later too, as a camera whose
            settings somebody changes.
    """

    file: str
    play: Literal["once", "looped", "stamped"] = "once"
    name: str = "video"
    fps: float = 30.0
    width: int = 0
    height: int = 0
    then_after_s: float = 0.0
    then_fps: float = 0.0
    then_file: str = ""


def looped(
    file: Path, *, fps: float, name: str = "video", then_after_s: float = 0.0, then_fps: float = 0.0
) -> RtspStream:
    """Return a stream that plays an H.264 file at `fps` without end, as it is encoded."""
    return RtspStream(str(file), "looped", name, fps, then_after_s=then_after_s, then_fps=then_fps)


def changed(file: Path, then: Path, *, fps: float) -> RtspStream:
    """Return a looped stream that sends another file's pictures once `RtspServer.change` is called, in mid-stream."""
    return RtspStream(str(file), "looped", fps=fps, then_file=str(then))


def stamped(file: Path, *, fps: float, name: str = "video", width: int = 0, height: int = 0) -> RtspStream:
    """Return a stream of a film with the time in its pixels, without end."""
    return RtspStream(str(file), "stamped", name, fps, width, height)


def missing_part() -> str | None:
    """Return what is missing to run the server, or None."""
    return missing_elements("x264enc", "h264parse", "rtph264pay", "parsebin", "avdec_h264")


class RtspServer:
    """Serve streams in a process of its own; the `with` statement gives the address of the first.

    Args:
        streams: what to serve; a path stands for that file, once.
        login: `user:password` that clients must give.
    """

    def __init__(self, *streams: RtspStream | Path, login: str = "") -> None:
        self._streams = [s if isinstance(s, RtspStream) else RtspStream(str(s)) for s in streams]
        self._login = login
        self._port = "0"
        self.urls: list[str] = []

    def start(self) -> Self:
        """Start the process, and wait until it serves.

        Raises:
            RuntimeError: it ended instead; its reason is on standard error.
        """
        specification = json.dumps([asdict(stream) for stream in self._streams])
        self.process = subprocess.Popen(
            [SYSTEM_PYTHON, "-m", "edgesdk_testkit.rtsp_process", specification, self._port, self._login],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self.process.stdout is not None
        port = self.process.stdout.readline().strip()
        if not port:
            self.stop()
            raise RuntimeError("the RTSP server did not start")
        # Started again, it is where it was.
        self._port = port
        self.urls = [f"rtsp://127.0.0.1:{port}/{stream.name}" for stream in self._streams]
        return self

    def change(self) -> None:
        """Let each stream that has another file go on with it."""
        assert self.process.stdin is not None
        self.process.stdin.write("change\n")
        self.process.stdin.flush()

    def freeze(self) -> None:
        """Let the process stand still, connections and all, as a camera that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the process at once, as a camera that loses its power."""
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> str:
        return self.start().urls[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
