"""`GET /metrics` for Prometheus and `GET /healthz` for whoever probes: opt-in, on the loopback unless told otherwise.

It shows figures and names of cameras, no pictures and no addresses, and takes no requests but these two.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from edgesdk_agent.metrics.exposition import CONTENT_TYPE
from edgesdk_targets.errors import InputError

log = logging.getLogger(__name__)

_READ_TIMEOUT_S = 5.0
_MOST_REQUESTS = 8


class MetricsEndpoint:
    """Serve the metrics from a thread of its own.

    Args:
        page: returns the metrics as text.
        healthy: says whether nothing fails.
        host, port: where; port 0 takes a free one.

    Raises:
        InputError: the address is taken or not this device's.
    """

    def __init__(self, page: Callable[[], str], healthy: Callable[[], bool], *, host: str, port: int) -> None:
        turns = threading.BoundedSemaphore(_MOST_REQUESTS)

        class Answer(BaseHTTPRequestHandler):
            timeout = _READ_TIMEOUT_S
            server_version = "edgesdk"
            sys_version = ""

            def do_GET(self) -> None:
                if not turns.acquire(blocking=False):
                    self._send(503, "too many requests\n")
                    return
                try:
                    self._answer()
                finally:
                    turns.release()

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
            self._server = _Server((host, port), Answer)
        except (OSError, OverflowError) as error:
            hint = "Choose another `metrics.port`, or `metrics.host` among this device's addresses."
            raise InputError(f"No metrics can be served on {host}:{port}: {error}", hint=hint) from error
        self.host, self.port = host, int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="edgesdk-metrics", daemon=True
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
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  (the base class's)
        log.debug("A request failed", exc_info=True)  # noqa: LOG014  (called where it is handled)
