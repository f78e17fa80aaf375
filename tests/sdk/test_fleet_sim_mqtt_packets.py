"""Packets of the simulated devices: each is what a client of the same protocol reads, in whatever pieces it comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesdk.fleet.sim import mqtt_packets as mqtt
from edgesdk.fleet.sim.mqtt_packets import Line, Login, MalformedPacket, PacketKind, PacketReader, Will

texts = st.text("abcé/-_.", min_size=1, max_size=300)
payloads = st.binary(max_size=20_000)
packet_ids = st.integers(1, 0xFFFF)


@given(texts, texts, payloads, packet_ids, st.booleans())
def test_what_is_published_is_read_as_it_was(
    topic: str, kind: str, payload: bytes, packet_id: int, retain: bool
) -> None:
    data = Line.of(topic, kind).publish(packet_id, payload, retain=retain)
    (packet,) = PacketReader().feed(data)
    assert (packet.kind, packet.flags) == (PacketKind.PUBLISH, 0x02 | retain)
    read = mqtt.read_publish(packet.flags, packet.body)
    assert (read.topic, read.packet_id, read.payload) == (topic.encode(), packet_id, payload)


@given(st.lists(st.tuples(payloads, packet_ids), min_size=1, max_size=5), st.data())
def test_packets_are_the_same_in_whatever_pieces_they_come(said: list[tuple[bytes, int]], data: st.DataObject) -> None:
    line = Line.of("a/b", "application/json")
    stream = b"".join(line.publish(packet_id, payload) + mqtt.puback(packet_id) for payload, packet_id in said)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader, found = PacketReader(), []
    for first, last in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[first:last])
    assert [p.kind for p in found] == [PacketKind.PUBLISH, PacketKind.PUBACK] * len(said)
    assert [mqtt.read_publish(p.flags, p.body).payload for p in found[::2]] == [payload for payload, _ in said]
    assert [mqtt.read_puback(p.body) for p in found[1::2]] == [(packet_id, 0) for _, packet_id in said]


@given(st.binary(max_size=400))
def test_whatever_comes_is_read_or_malformed(data: bytes) -> None:
    try:
        for packet in PacketReader().feed(data):
            {PacketKind.CONNACK: mqtt.read_connack, PacketKind.PUBACK: mqtt.read_puback}.get(
                packet.kind, lambda body, flags=packet.flags: mqtt.read_publish(flags, body)
            )(packet.body)
    except MalformedPacket:
        pass


def test_paho_reads_the_same_lengths_and_properties() -> None:
    # An implementation that is not ours writes the answer of a broker with all that such an answer may hold.
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.CONNACK)  # type: ignore[no-untyped-call]
    properties.ReasonString = "x" * 200
    properties.UserProperty = [("a", "b"), ("c", "d")]
    properties.MaximumPacketSize = 300_000
    properties.ReceiveMaximum = 7
    properties.TopicAliasMaximum = 10
    assert mqtt.read_connack(b"\x00\x00" + properties.pack()) == mqtt.Accepted(0, 7)  # type: ignore[no-untyped-call]
    assert mqtt.read_connack(b"\x00\x87") == mqtt.Accepted(0x87, 65535)


def test_a_length_that_never_ends_or_is_too_large_is_malformed() -> None:
    for data in (b"\x30\xff\xff\xff\xff", b"\x30\xff\xff\xff\x7f"):
        with pytest.raises(MalformedPacket):
            PacketReader().feed(data)


def test_a_connection_is_asked_for_with_the_will_and_the_login() -> None:
    will = Will("t/state", b"{}", "application/json", 10)
    (packet,) = PacketReader().feed(mqtt.connect(Login("me", "user", "secret"), will, keepalive_s=15, session_s=60))
    assert packet.body.startswith(b"\x00\x04MQTT\x05\xec\x00\x0f\x05\x11\x00\x00\x00\x3c\x00\x02me")
    assert packet.body.endswith(b"\x00\x07t/state\x00\x02{}\x00\x04user\x00\x06secret")
