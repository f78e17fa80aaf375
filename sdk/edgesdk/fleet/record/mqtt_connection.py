"""One MQTT 5 connection of a recorder, used once.

Traps of gmqtt that this file is built around:

- When it reconnects by itself, an acknowledgement of before goes out on the new connection, where the same packet id
  may name another message. So a connection here is never made again: a new one takes its place.
- Its `publish` waits for nobody: after 65,535 messages without an answer it raises. So there is a window.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk.fleet.gmqtt_client import Received, Reconnecting, connect, new_client, received, refusal, subscribe
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem

_KEEPALIVE_S = 10
# Of ours, on their way to the broker and not answered. A word to a device is small and can be said again.
_OUTGOING = 200
_NO_RECONNECT = Reconnecting(retries=-2, delay_s=0)


@dataclass(frozen=True, slots=True)
class Session:
    """What is asked of the broker.

    Attributes:
        client_id: our name there.
        filters: what we subscribe to, with QoS 1.
        expiry_s: how long the broker keeps messages for us while we are away; 0: not at all.
        window: how many messages it may send us before we acknowledge the first.
    """

    client_id: str
    filters: Sequence[str]
    expiry_s: int = 0
    window: int = 1000


OnMessage = Callable[[Received], Awaitable[None]]


class Connection:
    """A connection to come: `open` it, `publish` while it lasts, `wait_lost`, `close` it in any case.

    Args:
        on_message: handles one message, and returns when it may be acknowledged; it must not raise.

    Raises:
        MissingExtra: gmqtt is not installed.
    """

    def __init__(self, address: BrokerAddress, session: Session, on_message: OnMessage, tls: ssl.SSLContext | None):
        self._address = address
        self._session = session
        self._handle = on_message
        self._tls = tls
        self._subscribed: asyncio.Future[BrokerProblem | None] = asyncio.get_running_loop().create_future()
        self._lost = asyncio.Event()
        self._outgoing = Outgoing(_OUTGOING)
        self._client = self._new_client()

    async def open(self, timeout_s: float) -> BrokerProblem | None:
        """Connect and subscribe; return why not, where that fails."""
        # gmqtt waits for ever for the answer of a broker that has closed the connection.
        opening, lost = asyncio.ensure_future(self._open()), asyncio.ensure_future(self._lost.wait())
        try:
            await asyncio.wait({opening, lost}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                return opening.result()
            if lost.done():
                return broker_problem.closed(self._address)
            return broker_problem.from_exception(self._address, TimeoutError())
        finally:
            for task in (opening, lost):
                task.cancel()

    async def publish(self, topic: str, payload: bytes, *, content_type: str, expiry_s: int) -> bool:
        """Say something with QoS 1, as soon as there is room; False if the connection is gone."""
        while not self._lost.is_set():
            if not self._outgoing.full:
                # Its ids are used up before ours where the broker asks for a smaller window.
                with contextlib.suppress(OverflowError):
                    self._client.publish(
                        topic, payload, qos=1, content_type=content_type, message_expiry_interval=expiry_s
                    )
                    return True
            await self._outgoing.wait_changed()
        return False

    async def wait_lost(self) -> None:
        """Return when the connection is gone."""
        await self._lost.wait()

    async def wait_answered(self, timeout_s: float) -> None:
        """Wait until the broker has answered everything that was said, or the time is up."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._outgoing.wait_empty(), timeout_s)

    async def close(self) -> None:
        """Disconnect, whatever state it is in."""
        self._gone()
        # Whatever the library finds on a connection that is going away anyway is nobody's concern.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.disconnect(), timeout=2)

    async def _open(self) -> BrokerProblem | None:
        problem = await connect(self._client, self._address, self._tls, keepalive_s=_KEEPALIVE_S)
        return await self._subscribed if problem is None else problem

    def _new_client(self) -> Any:
        client = new_client(
            self._address,
            self._session.client_id,
            _NO_RECONNECT,
            clean_session=self._session.expiry_s == 0,
            persistent_storage=self._outgoing,
            session_expiry_interval=self._session.expiry_s,
            receive_maximum=self._session.window,
        )
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._confirmed
        client.on_message = self._received
        return client

    def _connected(self, client: Any, _flags: int, _code: int, _properties: Any) -> None:
        # Each time, whatever the broker says it remembers: one that was restarted knows nothing of us.
        subscribe(client, self._session.filters)

    def _disconnected(self, _client: Any, _packet: Any, _error: Any = None) -> None:
        self._gone()

    def _confirmed(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(refusal(self._address, granted))

    async def _received(self, _client: Any, topic: Any, payload: bytes, qos: int, properties: Any) -> int:
        await self._handle(received(topic, payload, qos, properties))
        return 0

    def _gone(self) -> None:
        self._lost.set()
        self._outgoing.clear()
        if not self._subscribed.done():
            self._subscribed.set_result(broker_problem.closed(self._address))


class Outgoing:
    """What we said and the broker did not answer yet: gmqtt tells its store of both, and nobody else.

    It keeps no message, as gmqtt would to say it again: a connection of ours is made once.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._unanswered: set[int] = set()
        self._changed = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._unanswered) >= self._window

    @property
    def is_empty(self) -> bool:
        return not self._unanswered

    def push_message(self, mid: int, _raw_package: bytes) -> None:
        self._unanswered.add(mid)

    def remove_message_by_mid(self, mid: int) -> None:
        self._unanswered.discard(mid)
        self._changed.set()

    def clear(self) -> None:
        self._unanswered.clear()
        self._changed.set()

    def get_all(self) -> list[tuple[int, bytes]]:
        return []

    async def wait_empty(self) -> None:
        while not self.is_empty:
            await self.wait_changed()

    async def wait_changed(self) -> None:
        """Return at the next answer."""
        self._changed.clear()
        await self._changed.wait()
