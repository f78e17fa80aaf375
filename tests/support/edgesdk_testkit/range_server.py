"""A folder on a web server that knows `Range`, as every real one does; and one that can be told to lie."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from edgesdk_testkit.certificates import Certificates


class _Ranges(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, endless: Callable[[str], bool], **more: object) -> None:
        self._endless = endless
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        content = path.read_bytes()
        start, end = 0, len(content)
        if asked := self.headers.get("Range"):
            first, last = asked.removeprefix("bytes=").split("-")
            start, end = int(first), int(last) + 1
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        endless = self._endless(self.path)
        if not endless:
            self.send_header("Content-Length", str(len(content[start:end])))
        self.end_headers()
        try:
            self.wfile.write(content[start:end])
            while endless:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            pass  # the other side has had enough

    def handle(self) -> None:
        with suppress(ssl.SSLError):  # whoever does not trust us breaks off
            super().handle()

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(
    folder: Path, endless: Callable[[str], bool] = lambda _path: False, *, tls: Certificates | None = None
) -> Iterator[str]:
    """Serve a folder, and yield its address.

    Args:
        endless: says of which paths more and more comes after their content.
        tls: its certificate; without one it speaks HTTP.
    """
    handler = partial(_Ranges, directory=str(folder), endless=endless)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.server, tls.server_key)
            # The handshake in the thread of the request: one that is broken off ends no more than that.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
