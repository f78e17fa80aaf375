"""Show pictures while they are made: a window where OpenCV has one, else a page on loopback."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from edgesdk_targets.errors import InputError
from edgesdk_targets.preprocess.opencv import cv2
from edgesdk_targets.tensor import Array

_BOUNDARY = "edgesdk-frame"
_OUR_NAMES = frozenset({"127.0.0.1", "localhost"})
_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>edgesdk preview</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{margin:0;background:#111;display:grid;place-items:center;min-height:100vh}img{max-width:100%}</style>
<img src="/stream" alt="Live picture with the model's results"></html>"""


class Preview(Protocol):
    """Where pictures are shown."""

    where: str

    def show(self, image: Array) -> bool:
        """Show (H, W, 3) uint8 BGR; False when the person closed it."""
        ...

    def close(self) -> None: ...


def open_preview(title: str, port: int = 0) -> Preview:
    """Open a window, or a page on loopback where there is no display or this OpenCV has no windows.

    Raises:
        InputError: the port is in use.
    """
    # Without a display, OpenCV's Qt ends the whole process instead of raising.
    headless = sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    if headless:
        return PagePreview(port)
    try:
        cv2.namedWindow(title, cv2.WINDOW_NORMAL)
    except cv2.error:
        return PagePreview(port)
    return WindowPreview(title)


class WindowPreview:
    """A window of OpenCV's; `q`, Escape or its own button closes it."""

    def __init__(self, title: str) -> None:
        self.where = f"window {title!r}"
        self._title = title

    def show(self, image: Array) -> bool:
        cv2.imshow(self._title, image)
        if (cv2.waitKey(1) & 0xFF) in {ord("q"), 27}:
            return False
        # The person's clicks are handled in `waitKey`; the next picture would open the window again.
        with suppress(cv2.error):
            return bool(cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1)
        return False

    def close(self) -> None:
        # A window that is closed already is an error to OpenCV, and none to anybody else.
        with suppress(cv2.error):
            cv2.destroyWindow(self._title)


class PagePreview:
    """A page on 127.0.0.1 with the newest picture as a Motion JPEG stream."""

    def __init__(self, port: int = 0) -> None:
        self._newest: bytes | None = None
        self._count = 0
        self._viewers = 0
        self._changed = threading.Condition()
        self._closed = False
        handler = type("Handler", (_Handler,), {"preview": self})
        try:
            self._server = _Server(("127.0.0.1", port), handler)
        except OSError as error:
            raise InputError(f"Port {port} cannot be used: {error.strerror}.", hint="Give another --port.") from error
        self.where = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, name="edgesdk-preview", daemon=True).start()

    def show(self, image: Array) -> bool:
        # Nobody watches most of the time; then a JPEG a frame would be work for nothing.
        with self._changed:
            if not self._viewers and self._newest is not None:
                return True
        done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 80])
        if done:
            with self._changed:
                self._newest, self._count = jpeg.tobytes(), self._count + 1
                self._changed.notify_all()
        return True

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def watch(self, watching: bool) -> None:
        """Count a viewer in or out."""
        with self._changed:
            self._viewers += 1 if watching else -1

    def next(self, seen: int) -> tuple[bytes, int] | None:
        """Wait for a picture newer than number `seen`; None when the preview is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._newest is not None and self._count > seen))
            return None if self._closed or self._newest is None else (self._newest, self._count)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A viewer that went away is no error; anything else is shown as usual."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    preview: PagePreview

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        if host not in _OUR_NAMES:
            # A foreign page whose name was made to lead here must not read the camera.
            self.send_error(403)
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", _PAGE)
        elif self.path == "/stream":
            self._stream()
        else:
            self.send_error(404)

    def _answer(self, content_type: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.preview.watch(watching=True)
        seen = 0
        try:
            while (picture := self.preview.next(seen)) is not None:
                jpeg, seen = picture
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        finally:
            self.preview.watch(watching=False)

    def log_message(self, *_: Any) -> None:
        """A viewer's requests are not the user's concern."""
