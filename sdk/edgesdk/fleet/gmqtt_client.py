"""gmqtt, for all that listen to a fleet: a client with our rules, its connecting, and what it says, in our words.

gmqtt acknowledges a message before its handler is done, unless told otherwise, and of a plain function it never does: handlers are
coroutines whose return value is the acknowledgement, or `LateAcknowledgements` does it. It lives only here.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from edgesdk.fleet.publish_packets import UsualPublish, publish_packet, read_packets
from edgesdk_targets import broker_problem
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.broker_problem import BrokerProblem
from edgesdk_targets.errors import MissingExtra

log = logging.getLogger(__name__)

# An acknowledgement is four bytes: its kind, two more to come, and a message's number.
_PUBACK = 0x40020000
# A packet must be in memory as a whole, and a broker without a limit of its own passes on a quarter of a gigabyte. This is far
# above what any device of ours says: what is too large for a message is read, refused and seen.
_LARGEST_PACKET_BYTES = 4 << 20
# While nothing is read: often enough that gmqtt does not take a broker that nobody listens to for one that is gone.
_LOOK_S = 1.0


class Received(NamedTuple):
    """One message as it came.

    Attributes:
        content_type: empty where the sender gave none.
        retained: the broker had kept it.
        received_ms: our clock, milliseconds since 1970; 0 where nobody looked.
    """

    topic: str
    payload: bytes
    content_type: str = ""
    retained: bool = False
    qos: int = 1
    received_ms: int = 0


class Room(Protocol):
    """Where messages go, as far as there is room for them."""

    @property
    def has_room(self) -> bool:
        """Whether more may be read."""
        ...

    async def room(self) -> None:
        """Wait until more may be read."""
        ...


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
    limits = {"maximum_packet_size": _LARGEST_PACKET_BYTES}
    quiet = logging.getLogger("gmqtt.quiet")
    client = Client(client_id, optimistic_acknowledgement=False, logger=quiet, **limits, **options)
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


class LateAcknowledgements:
    """Hands over each message, and acknowledges it when the future that it is given for it is done.

    gmqtt makes a task of each message and sends each acknowledgement by itself; of a collector that is half its work.
    Messages that are settled together share a future, and their acknowledgements leave together.

    Args:
        client: before it connects.
        on_message: must not raise.
    """

    def __init__(self, client: Any, on_message: Callable[[Received], asyncio.Future[Any]]) -> None:
        self._client = client
        self._on_message = on_message
        self._due: dict[asyncio.Future[Any], list[int]] = {}
        # When what is read now came.
        self._now_ms = 0
        client.on_message = self._without
        client._package_handler._handle_qos_1_publish_packet = self._with  # noqa: SLF001  (it has no other name)

    def read_quickly(self, where: Room) -> None:
        """Read messages of the usual form past gmqtt from now on, in half the time; on the present connection.

        Args:
            where: while it has no room nothing is read, so that the broker keeps what does not fit, and not we.
        """
        connection = self._client._connection  # noqa: SLF001
        protocol = connection._protocol  # noqa: SLF001
        gmqtts_own, from_socket = protocol._read_packet, protocol.read  # noqa: SLF001

        async def read_if_there_is_room(size: int = -1) -> bytes:
            while not where.has_room:
                connection._last_data_in = time.monotonic()  # noqa: SLF001
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(where.room(), _LOOK_S)
            found: bytes = await from_socket(size)
            return found

        def read(data: bytes) -> int:
            # By it gmqtt tells a broker that is silent from one that is gone.
            connection._last_data_in = time.monotonic()  # noqa: SLF001
            self._now_ms = int(time.time() * 1000)
            return read_packets(data, self._usual, gmqtts_own)

        protocol._read_packet, protocol.read = read, read_if_there_is_room  # noqa: SLF001

    def forget(self) -> None:
        """Acknowledge nothing any more: the connection is gone, and on another one a number means another message."""
        self._due.clear()

    def _usual(self, command: int, message: UsualPublish) -> None:
        mid, topic, content_type, payload = message
        try:
            self._settle_later(mid, Received(topic, payload, content_type, bool(command & 1), 1, self._now_ms))
        except Exception:
            # As gmqtt does: else nothing more would be read, and the broker would seem to be silent.
            log.exception("A message on %s is not acknowledged", topic)

    def _without(self, _client: Any, topic: Any, payload: bytes, qos: int, properties: Any) -> int:
        self._on_message(received(topic, payload, qos, properties))
        return 0

    def _with(self, mid: int, payload: bytes, topic: str, properties: Any) -> None:
        self._settle_later(mid, received(topic, payload, 1, properties))

    def _settle_later(self, mid: int, message: Received) -> None:
        settled = self._on_message(message)
        due = self._due.get(settled)
        if due is None:
            due = self._due[settled] = []
            settled.add_done_callback(self._acknowledge)
        due.append(mid)

    def _acknowledge(self, settled: asyncio.Future[Any]) -> None:
        mids = self._due.pop(settled, ())
        # One that failed or was given up is not settled: it comes again.
        if mids and not settled.cancelled() and settled.exception() is None:
            packets = struct.pack(f"!{len(mids)}I", *[_PUBACK | mid for mid in mids])
            self._client._connection._protocol.write_data(packets)  # noqa: SLF001


def gather_writes(client: Any) -> GatheredWrites:
    """Let what a connected client writes within one turn of the loop leave as one piece.

    Each acknowledgement is a packet of four bytes, and a commit lets five hundred go: one by one they cost a collector
    more than the commit does.
    """
    connection = client._connection  # noqa: SLF001  (it has no other name)
    protocol = connection._protocol  # noqa: SLF001
    gathered = GatheredWrites(connection._transport, protocol, asyncio.get_running_loop())  # noqa: SLF001
    connection._transport = protocol._transport = gathered  # noqa: SLF001
    return gathered


class GatheredWrites:
    """A transport that sends at the end of the loop's turn, or when much is gathered.

    Args:
        transport: what it sends through, and what does all the rest.
        protocol: of the transport; knows when there is room again.
    """

    _MUCH_BYTES = 1 << 16

    def __init__(self, transport: asyncio.Transport, protocol: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._protocol = protocol
        self._loop = loop
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def write(self, data: bytes | bytearray) -> None:
        """Send, soon."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(bytes(data))
        self._size_bytes += len(data)
        if self._size_bytes >= self._MUCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Send what was gathered."""
        parts, self._parts, self._size_bytes = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    async def room(self) -> None:
        """Wait while the other side does not read.

        Raises:
            ConnectionError: the connection is gone.
        """
        await self._protocol._drain_helper()  # noqa: SLF001  (a stream's own `drain` asks it)

    def close(self) -> None:
        """Close, after what was gathered."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def say(client: Any, topic: str, payload: bytes, *, content_type: str, expiry_s: int) -> None:
    """Publish with QoS 0, in a fifth of the time that gmqtt's own way takes: a collector says as much as it hears."""
    client._connection._protocol.write_data(publish_packet(topic, payload, content_type, expiry_s))  # noqa: SLF001


def say_goodbye(client: Any) -> None:
    """Tell the broker that the connection is over, and leave it to the broker to close it."""
    client._connection.send_disconnect()  # noqa: SLF001


def subscribe(client: Any, filters: Sequence[str]) -> None:
    """Ask for topics, with QoS 1; `refusal` tells what became of it."""
    from gmqtt import Subscription

    client.subscribe([Subscription(topic, qos=1) for topic in filters])


async def answered(client: Any) -> None:
    """Return when the broker has answered everything that was said with QoS 1, also over a new connection."""
    await client._persistent_storage.wait_empty()  # noqa: SLF001  (it has no other name)


def refusal(address: BrokerAddress, granted: Sequence[int]) -> BrokerProblem | None:
    """Return what a broker has against a subscription, None where it granted all of it."""
    refused = next((code for code in granted if code >= 128), None)
    return None if refused is None else broker_problem.from_reason_code(address, refused)


def received(topic: Any, payload: bytes, qos: int, properties: Any) -> Received:
    """Return a message as gmqtt hands it over, in our words."""
    kinds = properties.get("content_type") or [""]
    retained = bool(properties.get("retain"))
    return Received(str(topic), bytes(payload), str(kinds[0]), retained, qos, int(time.time() * 1000))


def _silence() -> None:
    # It warns of every lost connection; we show the state instead.
    for name in ("gmqtt", "gmqtt.quiet"):
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        logger.propagate = False
