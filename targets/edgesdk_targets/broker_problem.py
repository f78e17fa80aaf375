"""Why there is no connection to a broker, in words that say what to do.

Libraries report a refused connection as an exception of the operating system, of TLS, or as a number of MQTT 5; all
three become one value here, the same on the device and in the fleet.
"""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass

from edgesdk_targets.broker_address import TLS_PORT, BrokerAddress
from edgesdk_targets.errors import NotConnected


@dataclass(frozen=True, slots=True)
class BrokerProblem:
    """One reason why there is no connection.

    Attributes:
        reason: stable key: refused, unknown_host, unreachable, timeout, untrusted, tls, login, forbidden, client_id,
            protocol, busy, taken_over, closed, lost, unsteady, broker.
        permanent: trying again cannot help until somebody changes something.
    """

    reason: str
    message: str
    hint: str = ""
    permanent: bool = False

    def error(self) -> NotConnected:
        return NotConnected(self.message, hint=self.hint)


def from_exception(address: BrokerAddress, error: BaseException) -> BrokerProblem:
    """Explain why a connection could not be opened."""
    if isinstance(error, ssl.SSLError):
        return _tls_problem(address, error)
    if isinstance(error, ConnectionResetError):
        return closed(address)
    if isinstance(error, ConnectionRefusedError):
        hint = "Start one (`edgesdk fleet broker`), or correct the broker's URL."
        return BrokerProblem("refused", f"No broker answers at {address}.", hint)
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return _name_problem(address, error)
    hint = "Look at the address, the network and the firewall."
    if isinstance(error, TimeoutError):
        return BrokerProblem("timeout", f"{address} did not answer in time.", hint)
    return BrokerProblem("unreachable", f"{address} cannot be reached: {_system_text(error)}.", hint)


def _name_problem(address: BrokerAddress, error: socket.gaierror | UnicodeError) -> BrokerProblem:
    # A name server that cannot be asked yet may answer later; one that knows of no such name has answered.
    final = isinstance(error, UnicodeError) or error.errno == socket.EAI_NONAME
    hint = "Correct the broker's URL, or look at the network's name service."
    return BrokerProblem("unknown_host", f"The host name {address.host!r} is not known.", hint, permanent=final)


def _tls_problem(address: BrokerAddress, error: ssl.SSLError) -> BrokerProblem:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BrokerProblem(
            "untrusted",
            f"The certificate of {address} is not trusted: {error.verify_message}.",
            "Give the authority that signed it (mqtt.ca, or --ca), and use the host name that it is made for.",
            permanent=True,
        )
    hint = f"Is this a TLS port? Plain MQTT is mqtt://, and TLS is usually at port {TLS_PORT}."
    # Some versions of Python leave the attribute out.
    reason = str(getattr(error, "reason", "") or error).replace("_", " ").lower()
    return BrokerProblem("tls", f"No TLS connection to {address}: {reason}.", hint, permanent=True)


def from_reason_code(address: BrokerAddress, code: int, *, who: str = "") -> BrokerProblem:
    """Explain an MQTT 5 reason code of 128 or more, from CONNACK or DISCONNECT.

    Args:
        address: the broker.
        code: its answer.
        who: the client's name, for the message.
    """
    known = _REASONS.get(code)
    if known is None:
        return BrokerProblem("broker", f"{address} refuses, with MQTT 5 reason {code:#04x}.", "Look at its log.")
    reason, text, hint, permanent = known
    return BrokerProblem(reason, f"{address} {text.format(who=who or 'this client')}.", hint, permanent)


def closed(address: BrokerAddress) -> BrokerProblem:
    """Explain a connection that the broker closed without an answer."""
    wants = "a client certificate (mqtt.cert, mqtt.key)" if address.tls else "TLS (mqtts://)"
    hint = f"It may want another user or password, or {wants}, or speak no MQTT 5."
    return BrokerProblem("closed", f"{address} closed the connection without an answer.", hint)


def lost(address: BrokerAddress) -> BrokerProblem:
    """Explain a connection that worked and is gone."""
    return BrokerProblem("lost", f"The connection to {address} was lost.", "It is tried again by itself.")


def unsteady(address: BrokerAddress, who: str) -> BrokerProblem:
    """Explain a connection that is lost again and again, soon after it is made."""
    return BrokerProblem(
        "unsteady",
        f"{address} drops the connection of {who!r} again and again.",
        "Does another client use this name? Give each device its own device.name; else look at the broker's log.",
    )


_LOGIN_HINT = "Correct user and password (mqtt.username, mqtt.password, or those in the URL)."
_REASONS: dict[int, tuple[str, str, str, bool]] = {
    0x80: ("broker", "refuses without saying why", "Look at the broker's log.", False),
    0x84: ("protocol", "does not speak MQTT 5", "Use a broker with MQTT 5, as mosquitto 1.6 or newer.", True),
    0x85: ("client_id", "does not take the client name {who!r}", "Choose another device.name.", True),
    0x86: ("login", "refuses user or password", _LOGIN_HINT, True),
    0x87: ("forbidden", "does not let {who!r} in or on this topic", _LOGIN_HINT, True),
    0x88: ("busy", "is not available now", "It is tried again by itself.", False),
    0x89: ("busy", "is busy", "It is tried again by itself.", False),
    0x8A: ("forbidden", "has banned {who!r}", "Ask who runs the broker.", True),
    0x8B: ("busy", "is shutting down", "It is tried again by itself.", False),
    0x8D: ("lost", "heard nothing from {who!r} for too long", "Raise mqtt.keepalive_s on a slow network.", False),
    0x8E: (
        "taken_over",
        "gave the connection of {who!r} to another client of that name",
        "Give each device its own device.name.",
        False,
    ),
    0x93: ("broker", "was sent too much at once", "Look at its receive maximum.", False),
    0x95: ("broker", "was sent a message larger than it takes", "Raise the broker's limit for packets.", False),
    0x97: ("broker", "says that a quota is used up", "Raise the quota, or send less.", False),
    0x9F: ("busy", "is connected to too often", "It is tried again by itself.", False),
}


def _system_text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{error.strerror or errno.errorcode.get(error.errno, error.errno)}"
    return str(error) or type(error).__name__
