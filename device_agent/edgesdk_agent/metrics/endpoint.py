"""`GET /metrics` for Prometheus and `GET /healthz` for whoever probes: opt-in, on the loopback unless told otherwise.

It shows figures and names of cameras, no pictures and no addresses, and takes no requests but these two. Whoever connects
costs a bounded number of threads for a bounded time, however slowly he speaks or listens, and no body is read.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edgesdk_agent.metrics.exposition import CONTENT_TYPE
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)

# Prometheus and a probe or two; beyond this, who comes is turned away before anything is read.
_MOST_CONNECTIONS = 16
_POLL_S = 0.1


class MetricsEndpoint:
    """Serve the metrics from a thread of its own.

    Args:
        page: returns the metrics as text.
        healthy: says whether nothing fails.
        host, port: where; port 0 takes a free one.
        whole_s: a connection is cut after so long, whatever it is at.

    Raises:
        InputError: the address is taken or not this device's.
    """

    def __init__(
        self,
        page: Callable[[], str],
        healthy: Callable[[], bool],
        *,
        host: str,
        port: int,
        whole_s: float = 5.0,
    ) -> None:
        class Answer(BaseHTTPRequestHandler):
            timeout = whole_s
            server_version = "edgesdk"
            sys_version = ""

            def do_GET(self) -> None:
                if self.headers.get("Content-Length", "0").strip() != "0" or "Transfer-Encoding" in self.headers:
                    self._send(413, "A question here has no body.\n")
                else:
                    self._answer()

            def _answer(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    self._send(200, page(), CONTENT_TYPE)
                elif path == "/healthz":
                    well = healthy()
                    self._send(200 if well else 503, "ok\n" if well else "failing\n")
                else:
                    self._send(404, "See /metrics\n")

            def _send(self, code: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
                body = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("X-Content-Type-Options", "nosniff")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
                log.debug(format, *args)

        try:
            self._server = _Server((host, port), Answer, whole_s)
        except (OSError, OverflowError) as error:
            hint = "Choose another `metrics.port`, or `metrics.host` among this device's addresses."
            raise InputError(f"No metrics can be served on {host}:{port}: {error}", hint=hint) from error
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_S}, name="edgesdk-metrics", daemon=True
        )

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()
        log.info("Metrics on http://%s:%d/metrics", self.host, self.port)

    def close(self) -> None:
        """End; may be called twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(2.0)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Counts who is connected, and cuts off whoever is so for too long: a time-out of one reading is none of a request."""

    daemon_threads = True
    allow_reuse_address = True
    # Those that are turned away are accepted first, and must not keep others from connecting.
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], whole_s: float) -> None:
        self._whole_s = whole_s
        self._lock = threading.Lock()
        self._connected: dict[socket.socket, float] = {}
        super().__init__(address, handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  (the base class's)
        with self._lock:
            if len(self._connected) >= _MOST_CONNECTIONS:
                return False
            self._connected[request] = time.monotonic() + self._whole_s
        return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connected.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off what is over its time; called between two connections, and every `_POLL_S`."""
        now = time.monotonic()
        with self._lock:
            late = [one for one, until in self._connected.items() if now >= until]
        for one in late:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  (the base class's)
        log.debug("A request failed", exc_info=True)  # noqa: LOG014  (called where it is handled)
