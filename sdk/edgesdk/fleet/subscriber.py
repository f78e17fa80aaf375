"""Listen to a broker for as long as wanted: subscribe on every connection, come back when the broker does.

The first connection must succeed, or the reason is raised; after that, the broker may come and go. Messages are
acknowledged after they were handled.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from edgesdk.fleet.gmqtt_client import (
    Received,
    Reconnecting,
    answered,
    connect,
    new_client,
    received,
    refusal,
    subscribe,
)
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem

_KEEPALIVE_S = 15
_RETRY_S = 1
# Said and not answered, of what is said in turn; brokers end the connection of who says more than they ask for.
_WINDOW = 50
_ANSWER_S = 15.0
# As the agent's configuration calls them → as `edgesdk fleet watch` does.
_FLAGS = {
    "mqtt.username": "--username",
    "mqtt.password": "--password",
    "mqtt.ca, or --ca": "--ca",
    "mqtt.cert": "--cert",
    "mqtt.key": "--key",
}


class Subscriber:
    """A listener on some topics.

    Args:
        address: the broker.
        filters: what to subscribe to, with QoS 1.
        on_message: is called with each message, in order, in the event loop's thread; it must not raise. The broker
            hears that we have the message at once, or when what is returned is done.
        tls: needed where the address says TLS.
        on_connect: is called with each connection, before anything comes on it.

    Attributes:
        connected: whether there is a connection; subscribed: and the broker has confirmed what it listens to.
    """

    def __init__(
        self,
        address: BrokerAddress,
        filters: Sequence[str],
        on_message: Callable[[Received], Awaitable[None] | None],
        *,
        tls: ssl.SSLContext | None = None,
        on_connect: Callable[[], None] | None = None,
    ) -> None:
        self._address = address
        self._filters = filters
        self._on_message = on_message
        self._on_connect = on_connect
        self._tls = ssl.create_default_context() if address.tls and tls is None else tls
        self._client: Any = None
        self._ready = asyncio.Event()
        self._failed: asyncio.Future[BrokerProblem] | None = None
        self._said = 0
        self.connected = self.subscribed = False

    async def start(self, timeout_s: float = 10.0) -> None:
        """Connect, subscribe, and return when the broker has confirmed it.

        Raises:
            MissingExtra: gmqtt is not installed.
            NotConnected: the broker does not take us.
        """
        self._client = self._new_client()
        failed = self._failed = asyncio.get_running_loop().create_future()
        connecting = asyncio.ensure_future(self._connect())
        both: set[asyncio.Future[Any]] = {connecting, failed}
        await asyncio.wait(both, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if connecting.done():
            problem = connecting.result()
        elif failed.done():
            problem = failed.result()
        else:
            problem = broker_problem.from_exception(self._address, TimeoutError())
        self._failed = None
        if problem is not None:
            connecting.cancel()
            await self.stop()
            raise in_flags(problem).error()

    async def stop(self) -> None:
        """Disconnect, and try no more."""
        client, self._client = self._client, None
        if client is None:
            return
        # Whatever the library finds on a connection that is going away anyway is nobody's concern.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(client.disconnect(), timeout=2)
        self.connected = self.subscribed = False

    def publish(
        self, topic: str, payload: bytes, *, content_type: str, expires_s: int = 0, retain: bool = False
    ) -> None:
        """Say something, with QoS 1, on a connection that was started.

        Args:
            expires_s: the broker forgets it after so long, if it could not pass it on; 0 never.
        """
        properties: dict[str, Any] = {"content_type": content_type}
        if expires_s:
            properties["message_expiry_interval"] = expires_s
        self._client.publish(topic, payload, qos=1, retain=retain, **properties)

    async def publish_in_turn(self, topic: str, payload: bytes, *, content_type: str, expires_s: int = 0) -> None:
        """Say something as `publish` does, but no more at once than the broker answers.

        Raises:
            NotConnected: the broker answers nothing any more.
        """
        while self._said >= _WINDOW or not self._publish_if_room(topic, payload, content_type, expires_s):
            try:
                await asyncio.wait_for(answered(self._client), _ANSWER_S)
            except asyncio.TimeoutError as error:
                raise broker_problem.from_exception(self._address, TimeoutError()).error() from error
            self._said = 0

    def _publish_if_room(self, topic: str, payload: bytes, content_type: str, expires_s: int) -> bool:
        try:
            self.publish(topic, payload, content_type=content_type, expires_s=expires_s)
        except OverflowError:
            # The broker asks for a smaller window than ours.
            return False
        self._said += 1
        return True

    async def _connect(self) -> BrokerProblem | None:
        problem = await connect(self._client, self._address, self._tls, keepalive_s=_KEEPALIVE_S)
        if problem is None:
            await self._ready.wait()
        return problem

    def _new_client(self) -> Any:
        client = new_client(self._address, f"edgesdk-watch-{secrets.token_hex(6)}", Reconnecting(-1, _RETRY_S))
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._received
        return client

    def _connected(self, client: Any, _flags: int, _code: int, _properties: Any) -> None:
        self.connected, self.subscribed = True, False
        if self._on_connect is not None:
            self._on_connect()
        # A broker that was restarted knows nothing of us: subscribe again each time.
        if client.subscriptions:
            for subscription in client.subscriptions:
                client.resubscribe(subscription)
        else:
            subscribe(client, self._filters)

    def _disconnected(self, _client: Any, _packet: Any, _error: Any = None) -> None:
        was_connected, self.connected = self.connected, False
        self.subscribed = False
        if self._failed is not None and not self._failed.done() and not was_connected:
            self._failed.set_result(broker_problem.closed(self._address))

    def _subscribed(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        problem = refusal(self._address, granted)
        if problem is None:
            self.subscribed = True
            self._ready.set()
        elif self._failed is not None and not self._failed.done():
            self._failed.set_result(problem)

    async def _received(self, _client: Any, topic: Any, payload: bytes, qos: int, properties: Any) -> int:
        handled = self._on_message(received(topic, payload, qos, properties))
        if handled is not None:
            await handled
        return 0


def in_flags(problem: BrokerProblem) -> BrokerProblem:
    """Return a problem whose hint names the options of the command line, where the device's has keys of its file."""
    hint = problem.hint
    for key, flag in _FLAGS.items():
        hint = hint.replace(key, flag)
    return dataclasses.replace(problem, hint=hint)
