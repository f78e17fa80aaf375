"""A connection to the upload's server that another thread can cut, at any moment: while it connects, shakes hands or waits.

What hangs in the operating system wakes up only by its own time-out, or when its socket is shut down. So the socket is known
from its first moment on.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from edgesdk_agent.server_address import ServerAddress
from edgesdk_targets.errors import FetchFailed, InputError


class UploadLine:
    """One connection, from `open` to `close`.

    Args:
        to: the server.
        timeout_s: for each step.
        context: of TLS; the system's certificates unless given.
    """

    def __init__(self, to: ServerAddress, timeout_s: float, context: ssl.SSLContext | None) -> None:
        self._to = to
        self._timeout_s = timeout_s
        self._context = context
        self._socket: socket.socket | None = None
        self._http: http.client.HTTPConnection | None = None
        self._was_cut = False

    def open(self) -> None:
        """Connect, and over HTTPS see whether the server is who it says.

        Raises:
            FetchFailed: its certificate is not trusted.
            OSError: it cannot be reached.
        """
        to = self._to
        failure: OSError = ConnectionRefusedError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM):
            try:
                self._connect(socket.socket(family, kind, protocol), address)
                break
            except OSError as error:
                failure = error
                if self._was_cut:
                    raise
        else:
            raise failure
        if to.scheme == "https":
            self._secure()

    def http(self, block: int) -> http.client.HTTPConnection:
        """Return an HTTP connection on this line."""
        connection = http.client.HTTPConnection(self._to.host, self._to.port, timeout=self._timeout_s, blocksize=block)
        connection.sock = self._socket
        # Never by itself, which would be without TLS.
        connection.auto_open = 0
        self._http = connection
        return connection

    def cut(self) -> None:
        """Cut the line, from another thread."""
        self._was_cut = True
        if (line := self._socket) is not None:
            with suppress(OSError):
                # The plain socket's own: TLS would first take its state from under whoever reads.
                socket.socket.shutdown(line, socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection; may be called twice."""
        if self._http is not None:
            self._http.close()
        if self._socket is not None:
            self._socket.close()

    def _connect(self, line: socket.socket, address: object) -> None:
        self._socket = line
        try:
            if self._was_cut:
                raise ConnectionAbortedError("the agent stops")
            line.settimeout(self._timeout_s)
            line.connect(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self._socket = None
            line.close()
            raise

    def _secure(self) -> None:
        assert self._socket is not None  # noqa: S101  (connected before)
        context = self._context or ssl.create_default_context()
        secured = context.wrap_socket(self._socket, server_hostname=self._to.host, do_handshake_on_connect=False)
        self._socket = secured
        if self._was_cut:
            raise ConnectionAbortedError("the agent stops")
        try:
            secured.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise FetchFailed(
                f"{self._to.host} is not trusted: {error.verify_message}.",
                hint="Name the authority of its certificate in clips.upload.ca, and check the device's clock.",
            ) from error


def upload_context(authority: Path | None) -> ssl.SSLContext | None:
    """Return what TLS trusts: the certificates of a file, or None for the system's.

    Raises:
        InputError: the file cannot be read, or holds none.
    """
    if authority is None:
        return None
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise InputError(
            f"clips.upload.ca, {authority}, holds no certificates that can be read.", hint="Give a PEM file."
        ) from error
