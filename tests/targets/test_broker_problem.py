from __future__ import annotations

import errno
import socket
import ssl

import pytest

from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import NotConnected

PLAIN = BrokerAddress.parse("mqtt://me:hunter2@box:1883")
SAFE = BrokerAddress.parse("mqtts://box")


@pytest.mark.parametrize(
    ("error", "reason", "permanent"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "refused", False),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unknown_host", True),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "unknown_host", False),
        (TimeoutError(), "timeout", False),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "closed", False),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "unreachable", False),
        (OSError("strange"), "unreachable", False),
        (UnicodeError("label too long"), "unknown_host", True),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number"), "tls", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_the_system_says_becomes_a_reason_and_advice(error: Exception, reason: str, permanent: bool) -> None:
    problem = broker_problem.from_exception(PLAIN, error)
    assert (problem.reason, problem.permanent) == (reason, permanent)
    assert problem.hint
    assert "hunter2" not in problem.message + problem.hint
    assert isinstance(problem.error(), NotConnected)
    assert problem.error().code == "not_connected"


@pytest.mark.parametrize(
    ("code", "reason", "permanent"),
    [
        (0x86, "login", True),
        (0x87, "forbidden", True),
        (0x84, "protocol", True),
        (0x89, "busy", False),
        (0x8E, "taken_over", False),
        (0x95, "broker", False),
        (0xFF, "broker", False),
    ],
)
def test_what_the_broker_says_becomes_a_reason_and_advice(code: int, reason: str, permanent: bool) -> None:
    problem = broker_problem.from_reason_code(PLAIN, code, who="local.cam1")
    assert (problem.reason, problem.permanent) == (reason, permanent)
    assert problem.hint
    assert problem.message.endswith(".")


def test_a_closed_connection_says_what_it_may_want() -> None:
    assert "TLS" in broker_problem.closed(PLAIN).hint
    assert "certificate" in broker_problem.closed(SAFE).hint
    assert broker_problem.lost(PLAIN).reason == "lost"
