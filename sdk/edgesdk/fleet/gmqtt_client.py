"""gmqtt, for all that listen to a fleet: a client with our rules, its connecting, and what it says, in our words.

gmqtt acknowledges a message before its handler is done, unless told otherwise, and of a plain function it never does: handlers are
coroutines whose return value is the acknowledgement. It lives only here.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem
from edgesdk_targets.errors import MissingExtra


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came; `content_type` is empty where the sender gave none."""

    topic: str
    payload: bytes
    content_type: str = ""
    retained: bool = False
    qos: int = 1


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """How often it connects again by itself: `retries`, -1 for ever and -2 never, after `delay_s` each."""

    retries: int
    delay_s: float


def new_client(address: BrokerAddress, client_id: str, reconnecting: Reconnecting, **options: Any) -> Any:
    """Return a client that is not connected, and acknowledges what was handled.

    Args:
        options: of gmqtt's client, and properties of its session.

    Raises:
        MissingExtra: gmqtt is not installed.
    """
    try:
        from gmqtt import Client
    except ImportError as error:
        raise MissingExtra("gmqtt", "fleet") from error
    _silence()
    client = Client(client_id, optimistic_acknowledgement=False, logger=logging.getLogger("gmqtt.quiet"), **options)
    client.set_config({"reconnect_retries": reconnecting.retries, "reconnect_delay": reconnecting.delay_s})
    if address.username or address.password:
        password = address.password.get_secret_value() if address.password else None
        client.set_auth_credentials(address.username, password)
    return client


async def connect(
    client: Any, address: BrokerAddress, tls: ssl.SSLContext | None, *, keepalive_s: int
) -> BrokerProblem | None:
    """Connect; return why not, where that fails. A broker that closes the connection without a word is waited for for ever."""
    from gmqtt.mqtt.constants import MQTTv50
    from gmqtt.mqtt.handler import MQTTConnectError

    try:
        await client.connect(address.host, address.port, ssl=tls or False, keepalive=keepalive_s, version=MQTTv50)
    except MQTTConnectError as error:
        return broker_problem.from_reason_code(address, int(error._code))  # noqa: SLF001  (it has no other name)
    except OSError as error:
        return broker_problem.from_exception(address, error)
    return None


def subscribe(client: Any, filters: Sequence[str]) -> None:
    """Ask for topics, with QoS 1; `refusal` tells what became of it."""
    from gmqtt import Subscription

    client.subscribe([Subscription(topic, qos=1) for topic in filters])


def refusal(address: BrokerAddress, granted: Sequence[int]) -> BrokerProblem | None:
    """Return what a broker has against a subscription, None where it granted all of it."""
    refused = next((code for code in granted if code >= 128), None)
    return None if refused is None else broker_problem.from_reason_code(address, refused)


def received(topic: Any, payload: bytes, qos: int, properties: Any) -> Received:
    """Return a message as gmqtt hands it over, in our words."""
    kinds = properties.get("content_type") or [""]
    return Received(str(topic), bytes(payload), str(kinds[0]), bool(properties.get("retain")), qos)


def _silence() -> None:
    # It warns of every lost connection; we show the state instead.
    for name in ("gmqtt", "gmqtt.quiet"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
