"""End a device's open connection: a broker ends a session when another client comes by its name.

A list of revoked certificates keeps a device from coming back; who is connected already stays. This works on every MQTT
broker that lets the fleet's own service name its session, and needs no administration interface.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress, tls_context

_TIMEOUT_S = 10.0
_CONNACK = 0x20


def disconnect(host: str, port: int, node: str, *, ca: Path | None, cert: Path | None, key: Path | None) -> None:
    """Push a device's session off the broker, and leave nothing of it there.

    Raises:
        NotConnected: the broker cannot be reached, or does not take us.
        InputError: a certificate cannot be used.
    """
    address = BrokerAddress(host, port, tls=True)
    context = tls_context(ca=ca, cert=cert, key=key)
    try:
        with (
            socket.create_connection((host, port), timeout=_TIMEOUT_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            tls.sendall(connect_packet(node))
            code = _connack(tls)
            if code:
                raise broker_problem.from_reason_code(address, code, who=node).error()
            tls.sendall(b"\xe0\x00")
    except OSError as error:
        raise broker_problem.from_exception(address, error).error() from error


def connect_packet(client_id: str) -> bytes:
    """Return MQTT 5's CONNECT with a clean start and no session afterwards."""
    name = client_id.encode()
    # Name of the protocol, version 5, clean start, keep-alive of 10 s, no properties.
    body = b"\x00\x04MQTT\x05\x02\x00\x0a\x00" + len(name).to_bytes(2, "big") + name
    return b"\x10" + _length(len(body)) + body


def _length(value: int) -> bytes:
    """Write a length as MQTT does: seven bits a byte, the lowest first."""
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def _connack(tls: ssl.SSLSocket) -> int:
    """Return the reason code of the broker's answer."""
    head = _exactly(tls, 2)
    if head[0] != _CONNACK:
        raise ConnectionResetError("the broker did not answer with CONNACK")
    # Its properties never fill more than one byte of length before the code is known: flags and code come first.
    return _exactly(tls, 2)[1]


def _exactly(tls: ssl.SSLSocket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = tls.recv(count - len(found))
        if not more:
            raise ConnectionResetError("the broker closed the connection")
        found += more
    return found
