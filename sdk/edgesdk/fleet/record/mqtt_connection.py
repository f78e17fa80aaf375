"""One MQTT 5 connection of a recorder, used once; of the fleet's record, gmqtt lives only here.

Traps of gmqtt that this file is built around:

- It acknowledges before the handler is done, unless told otherwise, and of a plain function it never does.
- When it reconnects by itself, an acknowledgement of before goes out on the new connection, where the same packet id
  may name another message. So a connection here is never made again: a new one takes its place.
- Its `publish` waits for nobody: after 65,535 messages without an answer it raises. So there is a window.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem
from edgesdk_targets.errors import MissingExtra

_KEEPALIVE_S = 10
# Of ours, on their way to the broker and not answered. A word to a device is small and can be said again.
_OUTGOING = 200
_NO_RECONNECT = -2


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came; `content_type` is empty where the sender gave none."""

    topic: str
    payload: bytes
    content_type: str = ""
    retained: bool = False
    qos: int = 1


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
        from gmqtt.mqtt.constants import MQTTv50
        from gmqtt.mqtt.handler import MQTTConnectError

        address = self._address
        try:
            await self._client.connect(
                address.host, address.port, ssl=self._tls or False, keepalive=_KEEPALIVE_S, version=MQTTv50
            )
        except MQTTConnectError as error:
            return broker_problem.from_reason_code(address, int(error._code))  # noqa: SLF001  (it has no other name)
        except (OSError, ssl.SSLError) as error:
            return broker_problem.from_exception(address, error)
        return await self._subscribed

    def _new_client(self) -> Any:
        try:
            from gmqtt import Client
        except ImportError as error:
            raise MissingExtra("gmqtt", "fleet") from error
        _silence()
        client = Client(
            self._session.client_id,
            clean_session=self._session.expiry_s == 0,
            optimistic_acknowledgement=False,
            persistent_storage=self._outgoing,
            logger=logging.getLogger("gmqtt.quiet"),
            session_expiry_interval=self._session.expiry_s,
            receive_maximum=self._session.window,
        )
        client.set_config({"reconnect_retries": _NO_RECONNECT, "reconnect_delay": 0})
        if self._address.username or self._address.password:
            password = self._address.password.get_secret_value() if self._address.password else None
            client.set_auth_credentials(self._address.username, password)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._confirmed
        client.on_message = self._received
        return client

    def _connected(self, client: Any, _flags: int, _code: int, _properties: Any) -> None:
        from gmqtt import Subscription

        # Each time, whatever the broker says it remembers: one that was restarted knows nothing of us.
        client.subscribe([Subscription(topic, qos=1) for topic in self._session.filters])

    def _disconnected(self, _client: Any, _packet: Any, _error: Any = None) -> None:
        self._gone()

    def _confirmed(self, _client: Any, _mid: int, granted: Sequence[int], _properties: Any) -> None:
        refused = next((code for code in granted if code >= 128), None)
        problem = None if refused is None else broker_problem.from_reason_code(self._address, refused)
        if not self._subscribed.done():
            self._subscribed.set_result(problem)

    async def _received(self, _client: Any, topic: Any, payload: bytes, qos: int, properties: Any) -> int:
        kinds = properties.get("content_type") or [""]
        retained = bool(properties.get("retain"))
        await self._handle(Received(str(topic), bytes(payload), str(kinds[0]), retained, qos))
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


def _silence() -> None:
    # It warns of every lost connection; we show the state instead.
    for name in ("gmqtt", "gmqtt.quiet"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
