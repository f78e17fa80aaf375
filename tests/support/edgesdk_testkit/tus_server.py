"""A real HTTP server that takes uploads by the tus protocol 1.0, and cuts connections at bytes that a test names."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TusServer:
    """Take uploads on loopback; use it in a `with` statement.

    Args:
        context: of TLS; plain HTTP without it.

    Attributes:
        uploads: path → what arrived; lengths: path → what was announced.
        cuts: is asked at each PATCH how many of its bytes to take before the line is cut; None cuts nothing.
        refuse: a status to answer everything with, or 0.
        longest: of an upload, bytes; a longer one is answered with `too_long`.
        hangs: while it is set, a request is read and never answered.
        lies: says of each upload that this many bytes less are there.
    """

    def __init__(
        self,
        token: str = "",
        cuts: Callable[[int], int | None] = lambda _: None,
        *,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.uploads: dict[str, bytearray] = {}
        self.lengths: dict[str, int] = {}
        self.metadata: list[str] = []
        self.patches: list[tuple[int, int]] = []
        self.cuts = cuts
        self.refuse = 0
        self.longest = 1 << 40
        self.too_long = 413
        self.lies = 0
        self.token = token
        self.hangs = threading.Event()
        self.asked = threading.Event()
        self.hangs_over = threading.Event()
        handler = type("Handler", (_Handler,), {"site": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        scheme = "http" if context is None else "https"
        if context is not None:
            # The handshake belongs to each request's own thread: one that is broken off holds nobody up.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}/files/"

    def __enter__(self) -> TusServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hangs.clear()
        self.hangs_over.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    site: TusServer
    timeout = 20

    def do_POST(self) -> None:
        if not self._welcome():
            return
        if int(self.headers["Upload-Length"]) > self.site.longest:
            self._answer(self.site.too_long, {})
            return
        path = f"/files/{len(self.site.uploads)}"
        self.site.uploads[path] = bytearray()
        self.site.lengths[path] = int(self.headers["Upload-Length"])
        self.site.metadata.append(self.headers["Upload-Metadata"])
        self._answer(201, {"Location": path})

    def do_HEAD(self) -> None:
        if self._welcome() and self._known():
            self._answer(200, {"Upload-Offset": str(max(0, len(self.site.uploads[self.path]) - self.site.lies))})

    def do_PATCH(self) -> None:
        if not (self._welcome() and self._known()):
            return
        arrived = self.site.uploads[self.path]
        if int(self.headers["Upload-Offset"]) != len(arrived):
            self._answer(409, {})
            return
        length = int(self.headers["Content-Length"])
        cut = self.site.cuts(length)
        taken = length if cut is None else min(cut, length)
        self.site.patches.append((len(arrived), taken))
        left = taken
        while left and (piece := self.rfile.read1(min(left, 4096))):  # type: ignore[attr-defined]
            arrived += piece
            left -= len(piece)
        if cut is not None:
            # The plain socket's: no farewell by TLS, as when a line is cut.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)
            self.close_connection = True
            return
        self._answer(204, {"Upload-Offset": str(len(arrived))})

    def _welcome(self) -> bool:
        self.site.asked.set()
        while self.site.hangs.is_set():
            self.site.hangs_over.wait(0.05)
        if self.site.refuse:
            self._answer(self.site.refuse, {})
            return False
        if self.site.token and self.headers["Authorization"] != f"Bearer {self.site.token}":
            self._answer(401, {})
            return False
        return True

    def _known(self) -> bool:
        if self.path not in self.site.uploads:
            self._answer(404, {})
        return self.path in self.site.uploads

    def _answer(self, status: int, head: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Tus-Resumable": "1.0.0", "Content-Length": "0", **head}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """A test reads what arrived."""
