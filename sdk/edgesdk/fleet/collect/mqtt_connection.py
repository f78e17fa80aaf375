"""One MQTT 5 connection of a recorder, used once.

Traps of gmqtt that this file is built around:

- When it reconnects by itself, an acknowledgement of before goes out on the new connection, where the same packet id
  may name another message. So a connection here is never made again: a new one takes its place.
- Its `publish` waits for nobody. So we wait, for room in the socket.
- It reads whatever comes. So nothing is read while there is no room for it: a broker sends more than it may before the first
  is acknowledged (mosquitto 2.0 does), and what nobody reads stays with the broker.

What we say is said with QoS 0: a word holds everything of those before, and one that is lost is said again when the device
shows that it did not hear it. With QoS 1 a broker takes twenty at a time and no more before it has answered, which is the
speed of a whole collector.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk.fleet.gmqtt_client import (
    GatheredWrites,
    LateAcknowledgements,
    Received,
    Reconnecting,
    Room,
    connect,
    gather_writes,
    new_client,
    refusal,
    say,
    say_goodbye,
    subscribe,
)
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem

_KEEPALIVE_S = 10
_GOODBYE_S = 2.0
# Two groups of commits: while one is on its way to the disk, the next one comes.
WINDOW_MESSAGES = 16_000
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
    window: int = WINDOW_MESSAGES


# Takes one message, and returns what is done when it may be acknowledged; must not raise.
OnMessage = Callable[[Received], asyncio.Future[Any]]


class Connection:
    """A connection to come: `open` it, `publish` while it lasts, `wait_lost`, `close` it in any case.

    Args:
        on_message: takes each message.
        where: messages are read from the socket while it has room.

    Raises:
        MissingExtra: gmqtt is not installed.
    """

    def __init__(
        self, address: BrokerAddress, session: Session, on_message: OnMessage, where: Room, tls: ssl.SSLContext | None
    ) -> None:
        self._address = address
        self._session = session
        self._where = where
        self._tls = tls
        self._subscribed: asyncio.Future[BrokerProblem | None] = asyncio.get_running_loop().create_future()
        self._lost = asyncio.Event()
        self._writes: GatheredWrites | None = None
        self._client = self._new_client()
        self._acknowledgements = LateAcknowledgements(self._client, on_message)

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
        """Say something as soon as there is room; False if the connection is gone."""
        writes = self._writes
        if writes is None or self._lost.is_set():
            return False
        try:
            await writes.room()
        except ConnectionError:
            return False
        if self._lost.is_set():
            return False
        say(self._client, topic, payload, content_type=content_type, expiry_s=expiry_s)
        return True

    async def wait_lost(self) -> None:
        """Return when the connection is gone."""
        await self._lost.wait()

    async def close(self) -> None:
        """Disconnect, whatever state it is in."""
        if self._writes is not None and not self._lost.is_set():
            # A socket that is closed while something came that nobody read takes with it what the other side has not read
            # yet: the last words to devices. So the goodbye is said, and the broker closes, who read all before it.
            with contextlib.suppress(Exception):
                say_goodbye(self._client)
                await asyncio.wait_for(self._lost.wait(), timeout=_GOODBYE_S)
        self._gone()
        # Whatever the library finds on a connection that is going away anyway is nobody's concern.
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._client.disconnect(), timeout=_GOODBYE_S)

    async def _open(self) -> BrokerProblem | None:
        problem = await connect(self._client, self._address, self._tls, keepalive_s=_KEEPALIVE_S)
        if problem is not None:
            return problem
        self._writes = gather_writes(self._client)
        self._acknowledgements.read_quickly(self._where)
        return await self._subscribed

    def _new_client(self) -> Any:
        client = new_client(
            self._address,
            self._session.client_id,
            _NO_RECONNECT,
            clean_session=self._session.expiry_s == 0,
            session_expiry_interval=self._session.expiry_s,
            receive_maximum=self._session.window,
        )
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._confirmed
        return client

    def _connected(self, client: Any, _flags: int, _code: int, _properties: Any) -> None:
        # Each time, whatever the broker says it remembers: one that was restarted knows nothing of us.
        subscribe(client, self._session.filters)

    def _disconnected(self, _client: Any, _packet: Any, _error: Any = None) -> None:
        self._gone()

    def _confirmed(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result(refusal(self._address, granted))

    def _gone(self) -> None:
        self._lost.set()
        self._acknowledgements.forget()
        if not self._subscribed.done():
            self._subscribed.set_result(broker_problem.closed(self._address))
