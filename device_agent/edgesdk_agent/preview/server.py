"""The preview's server: HTTP on a few threads of the standard library, for a few people who look.

Whoever comes without a session gets the page that asks for the token, and nothing else. The token travels in the body of
a form, never in an address, which would end in logs and histories. A viewer who reads slowly holds his own thread.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from typing import Any
from urllib.parse import parse_qs, unquote

from edgesdk_agent.preview.access import COOKIE, Access
from edgesdk_agent.preview.listen_address import ListenAddress
from edgesdk_agent.preview.live_picture import LivePictures
from edgesdk_agent.preview.page import SCRIPT, STYLE, enter_page, live_page
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)

_BOUNDARY = "edgesdk-frame"
_LONGEST_FORM = 1024
_LONGEST_LENGTH = 8
# Beyond this many at once, who comes is turned away before anything is read.
_CONNECTIONS = 48
_REQUEST_S = 10.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PreviewServer:
    """Serve the page, from `start` to `close`.

    Args:
        address: where to listen; access: who may look; pictures: what there is to see.
        max_viewers: streams at the same time.

    Raises:
        InputError: the address cannot be used.
    """

    def __init__(self, address: ListenAddress, access: Access, pictures: LivePictures, *, max_viewers: int = 3) -> None:
        handler = type(
            "Handler",
            (_Handler,),
            {"access": access, "pictures": pictures, "streams": threading.BoundedSemaphore(max_viewers)},
        )
        self._pictures = pictures
        try:
            self._server = _Server(address, handler)
        except OSError as error:
            hint = "Give --preview another HOST:PORT."
            raise InputError(f"The preview cannot listen at {address}: {error.strerror}.", hint=hint) from error
        self.where = f"http://{ListenAddress(address.host, self._server.server_port)}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="edgesdk-preview", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """Let all viewers go, and stop."""
        self._pictures.close()
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: ListenAddress, handler: Any) -> None:
        self.address_family = AF_INET6 if ":" in address.host else AF_INET
        self._room = threading.BoundedSemaphore(_CONNECTIONS)
        super().__init__((address.host, address.port), handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a connection a thread, or close it where there are too many."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, *_: object) -> None:
        """A viewer that went away is no error; anything else is told in the log."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("The preview could not answer: %r", error)


class _Handler(BaseHTTPRequestHandler):
    access: Access
    pictures: LivePictures
    streams: threading.BoundedSemaphore
    timeout = _REQUEST_S
    server_version, sys_version = "edgesdk", ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/preview.css":
            self._answer(200, "text/css; charset=utf-8", STYLE.encode())
        elif not self.access.knows(self._session()):
            self._answer(401 if path != "/" else 200, "text/html; charset=utf-8", enter_page(wrong=False))
        elif path == "/":
            self._answer(200, "text/html; charset=utf-8", live_page(self.pictures.cameras))
        elif path == "/preview.js":
            self._answer(200, "text/javascript; charset=utf-8", SCRIPT.encode())
        elif path == "/state":
            self._answer(200, "application/json", json.dumps({"cameras": self.pictures.state()}).encode())
        elif path.startswith("/stream/") and unquote(path[8:]) in self.pictures.cameras:
            self._stream(unquote(path[8:]))
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There is nothing here.\n")

    def do_POST(self) -> None:
        form = self._form()
        if form is None:
            self._answer(400, "text/plain; charset=utf-8", b"This is no form of ours.\n")
        elif self.path == "/enter":
            session = self.access.enter(form.get("token", ""))
            if session is None:
                self._answer(403, "text/html; charset=utf-8", enter_page(wrong=True))
            else:
                self._back(f"{COOKIE}={session}; HttpOnly; SameSite=Strict; Path=/")
        elif self.path == "/leave":
            self.access.leave(self._session())
            self._back(f"{COOKIE}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/")
        else:
            self._answer(404, "text/plain; charset=utf-8", b"There is nothing here.\n")

    def _session(self) -> str:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")[:4096]).get(COOKIE)
        except CookieError:
            return ""
        return "" if found is None else found.value

    def _form(self) -> dict[str, str] | None:
        length = self.headers.get("Content-Length", "0")
        # Thousands of digits are refused before Python refuses to read them as a number.
        readable = length.isascii() and length.isdigit() and len(length) <= _LONGEST_LENGTH
        if not readable or int(length) > _LONGEST_FORM:
            # What is left unread would be taken for the next request.
            self.close_connection = True
            return None
        try:
            fields = parse_qs(self.rfile.read(int(length)).decode("ascii"), max_num_fields=4)
        except ValueError:
            return None
        return {name: values[0] for name, values in fields.items()}

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self._end_head()
        self.wfile.write(body)

    def _back(self, cookie: str) -> None:
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Set-Cookie", cookie)
        self.send_header("Content-Length", "0")
        self._end_head()

    def _end_head(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, camera: str) -> None:
        if not self.streams.acquire(blocking=False):
            self._answer(503, "text/plain; charset=utf-8", b"Too many look already.\n")
            return
        self.pictures.watch(camera, watching=True)
        try:
            self.send_response(200)
            self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            self._end_head()
            self.close_connection = True
            seen = 0
            while not self.pictures.closed:
                picture = self.pictures.next(camera, seen)
                if picture is None:
                    # Nothing new: only writing shows whether somebody is still there.
                    self.wfile.write(b"\r\n")
                    continue
                jpeg, seen = picture
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                self.wfile.write(head.encode() + jpeg + b"\r\n")
        finally:
            self.pictures.watch(camera, watching=False)
            self.streams.release()

    def log_message(self, *_: Any) -> None:
        """A viewer's requests are nobody else's concern."""
