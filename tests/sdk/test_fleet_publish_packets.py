"""MQTT's PUBLISH by a short way: what it reads and writes is what the library reads and writes, and nothing else."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.gmqtt_client import LateAcknowledgements, Received
from edgesdk.fleet.publish_packets import (
    UsualPublish,
    publish_packet,
    read_packets,
    read_usual_publish,
    variable_length,
)

TOPIC, JSON = "edgesdk/1/shop.a/up/result", "application/json"


def _packet(topic: bytes, properties: bytes, payload: bytes = b"{}", mid: int = 7) -> bytes:
    head = struct.pack("!H", len(topic)) + topic + struct.pack("!H", mid)
    return head + variable_length(len(properties)) + properties + payload


def _kind(content_type: bytes) -> bytes:
    return b"\x03" + struct.pack("!H", len(content_type)) + content_type


def _by_gmqtt(command: int, packet: bytes) -> list[tuple[int, str, str, bytes]]:
    """Return what gmqtt's own handler makes of a packet."""
    from gmqtt.mqtt.constants import MQTTv50
    from gmqtt.mqtt.handler import MqttPackageHandler

    heard: list[tuple[int, str, str, bytes]] = []
    none = dict.fromkeys(
        (
            "connack_event", "connection_lost_event", "reconnect_callback", "disconnect_callback", "resend_qos_callback",
            "clear_qos_callback", "subscriptions_getter", "remove_message_callback", "store_message_callback",
            "send_command_with_mid_callback",
        )
    )  # fmt: skip
    handler: Any = MqttPackageHandler(
        connection_state=SimpleNamespace(protocol_version=MQTTv50), connect_properties={}, **none
    )

    def take(mid: int, payload: bytes, topic: str, properties: dict[str, Any]) -> None:
        heard.append((mid, topic, (properties.get("content_type") or [""])[0], payload))

    handler._handle_qos_1_publish_packet = take
    handler._handle_publish_packet(command, packet)
    return heard


@pytest.mark.parametrize("properties", [b"", _kind(JSON.encode()), _kind(b"x" * 124), _kind("größe".encode())])
@pytest.mark.parametrize("command", [0x32, 0x33, 0x3A])
def test_what_is_read_the_short_way_is_what_the_library_reads(command: int, properties: bytes) -> None:
    packet = _packet(TOPIC.encode(), properties, b"\x00\xff" * 300, mid=0xFFFE)
    usual = read_usual_publish(command, packet)
    assert usual is not None
    assert [usual] == _by_gmqtt(command, packet)


@pytest.mark.parametrize(
    ("command", "packet"),
    [
        (0x30, _packet(TOPIC.encode(), b"")),
        (0x34, _packet(TOPIC.encode(), b"")),
        (0x62, _packet(TOPIC.encode(), b"")),  # another kind of packet with the same flags
        (0x32, _packet(b"", b"\x23\x00\x01")),
        (0x32, _packet(b"\xff", b"")),
        (0x32, _packet(TOPIC.encode(), b"\x02\x00\x00\x00\x3c" + _kind(b"a"))),
        (0x32, _packet(TOPIC.encode(), _kind(b"a") + b"\x01\x01")),
        (0x32, _packet(TOPIC.encode(), _kind(b"a") * 40)),
        (0x32, _packet(TOPIC.encode(), _kind(b"\xff"))),
        (0x32, _packet(TOPIC.encode(), _kind(b"abc"), b"")[:-1]),
    ],
)
def test_what_is_made_in_any_other_way_is_left_to_the_library(command: int, packet: bytes) -> None:
    assert read_usual_publish(command, packet) is None


@given(st.integers(0, 255), st.binary(max_size=60))
def test_whatever_bytes_come_are_read_or_left_and_nothing_is_raised(command: int, packet: bytes) -> None:
    usual = read_usual_publish(command, packet)
    assert usual is None or usual[3] == packet[len(packet) - len(usual[3]) :]


@pytest.mark.parametrize("size", [0, 100, 127, 128, 20_000, 3_000_000])
def test_what_is_said_is_what_the_library_would_say(size: int) -> None:
    from gmqtt import Message
    from gmqtt.mqtt.constants import MQTTv50
    from gmqtt.mqtt.package import PublishPacket

    message = Message(TOPIC, bytes(size), qos=0, message_expiry_interval=60, content_type=JSON)
    _, packet = PublishPacket.build_package(message, SimpleNamespace(proto_ver=MQTTv50))
    assert publish_packet(TOPIC, bytes(size), JSON, 60) == packet


def _framed(command: int, packet: bytes) -> bytes:
    return bytes((command,)) + variable_length(len(packet)) + packet


def _stream() -> bytes:
    """Return packets of every form and length, one after another."""
    kind = _kind(JSON.encode())
    parts = [
        (0x32, _packet(TOPIC.encode(), kind, bytes(size), mid=size + 1)) for size in (0, 60, 90, 300, 16_000, 60_000)
    ]
    parts.insert(2, (0xD0, b""))
    parts.insert(3, (0x30, _packet(TOPIC.encode(), kind)))
    return b"".join(_framed(*part) for part in parts)


def _read_in_pieces(data: bytes, size: int) -> list[tuple[int, int]]:
    """Return first byte and length of each packet, whoever read it, where bytes come so many at a time."""
    found: list[tuple[int, int]] = []

    def others(rest: bytes) -> int:
        """Read as gmqtt does: all whole packets."""
        at = 0
        while len(rest) - at >= 2:
            length, shift, body = 0, 0, at + 1
            while body < len(rest):
                length, shift, body = length | (rest[body] & 0x7F) << shift, shift + 7, body + 1
                if rest[body - 1] < 0x80:
                    break
            else:
                return at
            if body + length > len(rest):
                return at
            found.append((rest[at], length))
            at = body + length
        return at

    def take(command: int, message: UsualPublish) -> None:
        mid, topic, content_type, payload = message
        assert (mid, topic, content_type) == (len(payload) + 1, TOPIC, JSON)
        found.append((command, len(_packet(TOPIC.encode(), _kind(JSON.encode()), payload))))

    buffer = b""
    for at in range(0, len(data), size):
        buffer += data[at : at + size]
        buffer = buffer[read_packets(buffer, take, others) :]
    assert buffer == b""
    return found


@pytest.mark.parametrize("size", [97, 1024, 1 << 16, 1 << 20])
def test_packets_are_read_whole_and_in_order_however_they_are_cut(size: int) -> None:
    whole = _read_in_pieces(_stream(), 1 << 20)
    assert [command for command, _ in whole] == [0x32, 0x32, 0xD0, 0x30, 0x32, 0x32, 0x32, 0x32]
    assert _read_in_pieces(_stream(), size) == whole


def test_what_the_library_calls_malformed_is_malformed() -> None:
    assert read_packets(b"\xd0\x00", lambda *_: None, lambda _: -1) == -1
    assert read_packets(b"\x32\xff\xff\xff\xff", lambda *_: None, lambda _: -1) == -1


class _Client:
    """What stands where gmqtt's client does, its handler, connection and protocol in one."""

    def __init__(self) -> None:
        self.left: list[bytes] = []
        self.on_message: Any = None
        self._package_handler = self._connection = self._protocol = self
        self._handle_qos_1_publish_packet: Any = None
        self._last_data_in = 0.0

    def _read_packet(self, data: bytes) -> int:
        self.left.append(data)
        return len(data)

    async def read(self, size: int = -1) -> bytes:
        return b""


class _Anywhere:
    """There is always room."""

    has_room = True

    async def room(self) -> None:
        """Never waited for."""


class _Settled:
    def add_done_callback(self, _call: object) -> None:
        """Never done."""


def test_both_ways_end_at_the_same_receiver() -> None:
    client, heard = _Client(), list[Received]()
    late = LateAcknowledgements(client, lambda message: (heard.append(message), _Settled())[1])  # type: ignore[return-value]
    late.read_quickly(_Anywhere())
    usual = _framed(0x33, _packet(TOPIC.encode(), _kind(JSON.encode()), b"{}"))
    strange = _framed(0x32, _packet(TOPIC.encode(), b"\x02\x00\x00\x00\x3c"))
    assert client._read_packet(usual + strange) == len(usual + strange)
    client._handle_qos_1_publish_packet(8, b"x", TOPIC, {"content_type": ["y"], "retain": 0})
    assert client.left == [strange]
    assert [(m.topic, m.payload, m.content_type, m.retained) for m in heard] == [
        (TOPIC, b"{}", JSON, True),
        (TOPIC, b"x", "y", False),
    ]
    assert heard[0].received_ms > 0
    assert client._last_data_in > 0


def test_a_receiver_that_fails_costs_one_message_and_not_the_reading() -> None:
    heard: list[bytes] = []

    def take(message: Received) -> Any:
        heard.append(message.payload)
        if message.payload == b"bad":
            raise ArithmeticError
        return _Settled()

    client = _Client()
    late = LateAcknowledgements(client, take)
    late.read_quickly(_Anywhere())
    packets = [_framed(0x32, _packet(TOPIC.encode(), b"", body, mid=n)) for n, body in enumerate([b"bad", b"good"], 1)]
    assert client._read_packet(b"".join(packets)) == len(b"".join(packets))
    assert heard == [b"bad", b"good"]
    assert list(late._due.values()) == [[2]], "what failed is not acknowledged"
