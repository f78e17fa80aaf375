"""One device's connection as a socket that never blocks: TCP, then TLS where it is asked for, then bytes both ways."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_READ_BYTES = 65536


class Lost(Exception):
    """The connection is gone, or never came; the text says why."""


class Wire:
    """A connection that is being made; `step` when the socket is ready, until it is `open`.

    Args:
        where: an address as `socket.getaddrinfo` gives it.
        host: the name on the broker's certificate.
    """

    def __init__(self, where: tuple[socket.AddressFamily, tuple[object, ...]], host: str, tls: ssl.SSLContext | None):
        family, self._place = where
        self._host = host
        self._tls = tls
        self._unsent = b""
        self.open = False
        self.wants = WRITE
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(self._place)

    @property
    def fileno(self) -> int:
        return self.socket.fileno()

    def step(self) -> bool:
        """Go on with connecting, and say whether it is open now. Raises Lost."""
        if not isinstance(self.socket, ssl.SSLSocket):
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise Lost(OSError(code, "").strerror or f"error {code}")
            if self._tls is None:
                self.open, self.wants = True, READ
                return True
            self.socket = self._tls.wrap_socket(self.socket, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            self.socket.do_handshake()
        except ssl.SSLWantReadError:
            self.wants = READ
        except ssl.SSLWantWriteError:
            self.wants = WRITE
        except OSError as error:
            raise Lost(_reason(error)) from error
        else:
            self.open, self.wants = True, READ
        return self.open

    def read(self) -> bytes:
        """Return what came; nothing where nothing did. Raises Lost."""
        data = b""
        while True:
            try:
                more = self.socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return data
            except OSError as error:
                raise Lost(_reason(error)) from error
            if not more:
                if data:
                    return data
                raise Lost("the broker closed the connection")
            data = data + more if data else more
            # Decrypted bytes that wait inside TLS are invisible to a selector.
            if self._tls is None and len(more) < _READ_BYTES:
                return data

    def write(self, data: bytes) -> None:
        """Send, or keep for when there is room. Raises Lost."""
        self._unsent = self._unsent + data if self._unsent else data
        self.flush()

    def flush(self) -> None:
        """Send what is kept. Raises Lost."""
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            except OSError as error:
                raise Lost(_reason(error)) from error
            self._unsent = self._unsent[sent:]
        self.wants = READ | WRITE if self._unsent else READ

    def close(self) -> None:
        """Close it, whatever state it is in; the broker hears nothing of the protocol."""
        with contextlib.suppress(OSError):
            self.socket.close()


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    return error.strerror or str(error)
