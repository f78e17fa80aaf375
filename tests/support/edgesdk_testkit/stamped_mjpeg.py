"""A real MJPEG camera over HTTP on loopback, in a process of its own: a film at a rate, with the time in its pixels.

    with StampedMjpeg(file, fps=30) as url: ...

As a camera does, it makes one picture at a time and sends each client the newest; a client that does not read fills its
socket first (256 KiB here, and its own), and finds old pictures there. By hand:
`python -m edgesdk_testkit.stamped_mjpeg FILE --fps 30` prints the address and serves until its standard input closes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

import cv2

from edgesdk_targets.tensor import Array
from edgesdk_testkit.pixel_stamp import stamp

_BOUNDARY = "edgesdk-picture"
_SEND_BUFFER = 256 << 10
_QUALITY = 85
_MOST_PICTURES = 150


class StampedMjpeg:
    """Serve a film in a process of its own; use it in a `with` statement, which gives the address.

    Args:
        file: any film that OpenCV reads; repeated without end.
        fps: pictures a second.
        width, height: to which they are scaled; the film's own where 0.
    """

    def __init__(self, file: Path, *, fps: float, width: int = 0, height: int = 0) -> None:
        self._arguments = [str(file), "--fps", str(fps), "--width", str(width), "--height", str(height)]

    def __enter__(self) -> str:
        support = str(Path(__file__).resolve().parent.parent)
        paths = os.pathsep.join(filter(None, [support, *sys.path]))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgesdk_testkit.stamped_mjpeg", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths},
        )
        assert self.process.stdout is not None
        url = self.process.stdout.readline().strip()
        if not url:
            self.process.kill()
            self.process.communicate()
            raise RuntimeError("the MJPEG camera did not start")
        return url

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()


class _Newest:
    """The newest JPEG, for which clients wait."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._number, self._jpeg = 0, b""

    def put(self, jpeg: bytes) -> None:
        with self._changed:
            self._number, self._jpeg = self._number + 1, jpeg
            self._changed.notify_all()

    def each(self) -> Iterator[bytes]:
        seen = 0
        while True:
            with self._changed:
                while self._number == seen:
                    self._changed.wait()
                seen, jpeg = self._number, self._jpeg
            yield jpeg


def _pictures(file: str, width: int, height: int) -> list[Array]:
    capture = cv2.VideoCapture(file)
    found = []
    while len(found) < _MOST_PICTURES:
        read, picture = capture.read()
        if not read:
            break
        found.append(cv2.resize(picture, (width, height)) if width else picture)
    capture.release()
    if not found:
        raise SystemExit(f"{file} holds no picture")
    return found


def _produce(pictures: list[Array], fps: float, newest: _Newest) -> None:
    started, number = time.monotonic(), 0
    while True:
        time.sleep(max(0.0, started + number / fps - time.monotonic()))
        picture = pictures[number % len(pictures)]
        stamp(picture, time.monotonic())
        _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        newest.put(jpeg.tobytes())
        # What it was too late for is left out, as a camera does; it would else send two pictures of one moment.
        number = max(number + 1, int((time.monotonic() - started) * fps))


def _handler(newest: _Newest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self.end_headers()
            with contextlib.suppress(OSError):
                for jpeg in newest.each():
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
            return

    return Handler


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--width", type=int, default=0)
    parser.add_argument("--height", type=int, default=0)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    newest = _Newest()
    pictures = _pictures(options.file, options.width, options.height)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(newest))
    server.daemon_threads = True
    for run in (lambda: _produce(pictures, options.fps, newest), server.serve_forever):
        threading.Thread(target=run, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}/video.mjpg", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _main()
