"""A device that comes back the moment its connection ends, as fast as it can: what revocation has to withstand."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

from edgesdk.fleet.enrol.disconnect import connect_packet
from edgesdk_testkit.brokers import PATIENCE_S

_PING = b"\xc0\x00"
_PING_EVERY_S = 2.0


class ReturningDevice:
    """Connects by its own name, and again at once, until the broker refuses its certificate.

    Attributes:
        entered: how often the broker took it.
    """

    def __init__(self, port: int, ca: Path, cert: Path, key: Path, node: str) -> None:
        self.entered = 0
        self._port, self._node = port, node
        self._context = ssl.create_default_context(cafile=str(ca))
        self._context.load_cert_chain(str(cert), str(key))
        self._changed = threading.Condition()
        self._refused = self._closing = False
        self._open: ssl.SSLSocket | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_entered(self, times: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.entered >= times, PATIENCE_S)

    def wait_refused(self) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._refused, PATIENCE_S)

    @property
    def refused(self) -> bool:
        return self._refused

    def close(self) -> None:
        self._closing = True
        with self._changed:
            if self._open is not None:
                self._open.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)

    def _run(self) -> None:
        while not (self._refused or self._closing):
            accepted = self._once()
            with self._changed:
                self._open = None
                self._refused = not accepted
                self._changed.notify_all()

    def _once(self) -> bool:
        """Stay as long as the broker lets us; tell whether it took us at all."""
        accepted = False
        try:
            with (
                socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE_S) as raw,
                self._context.wrap_socket(raw, server_hostname="localhost") as tls,
            ):
                tls.sendall(connect_packet(self._node))
                answer = tls.recv(4)
                accepted = len(answer) == 4 and answer[3] == 0
                with self._changed:
                    self.entered += accepted
                    self._open = tls
                    self._changed.notify_all()
                tls.settimeout(_PING_EVERY_S)
                while accepted:
                    try:
                        if not tls.recv(4096):
                            break
                    except TimeoutError:
                        tls.sendall(_PING)
        except OSError:
            pass
        return accepted
