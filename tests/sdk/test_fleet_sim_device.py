"""A simulated device without a socket: a model of a broker and a collector loses and repeats what it likes, and all is stored."""

from __future__ import annotations

import random
from datetime import datetime, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from edgesdk.fleet.collect.reading import read
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.sim import mqtt_packets as mqtt
from edgesdk.fleet.sim.device import IN_FLIGHT, Device, Settings
from edgesdk.fleet.sim.faults import Faults
from edgesdk.fleet.sim.figures import Figures
from edgesdk.fleet.sim.mqtt_packets import DISCONNECT, PINGREQ, Line, Login, Packet, PacketKind, PacketReader
from edgesdk.fleet.sim.profiles import PROFILES
from edgesdk.fleet.sim.reports import ResultTexts
from edgesdk.fleet.sim.speech import Speech
from edgesdk.fleet.store.coverage import Coverage, ranges_of
from edgesdk_targets.messages import DEFLATED, JSON, Ack, SeqRange, encode
from edgesdk_targets.topics import Node

_CONNACK = b"\x20\x03\x00\x00\x00"
_TEXTS = ResultTexts(1)


class _World:
    """A broker and a collector in one: what it reads is stored at once, and told when it likes."""

    def __init__(self, faults: Faults | None = None, rate: float = 10.0) -> None:
        self.figures = Figures(devices=1)
        chance = random.Random(1)
        speech = Speech(Node("sim-1"), "e", "boot", "1", PROFILES["steady"], _TEXTS)
        self.device = Device(
            speech,
            Login("local.sim-1"),
            Settings(PROFILES["steady"], rate),
            faults or Faults(),
            self.figures,
            chance,
            1e12,
        )
        self.coverage = Coverage()
        self.now = 0.0
        self.said: list[Packet] = []
        self.device.begin(0.0)

    def hear(self, data: bytes, *, lose: bool = False) -> bytes:
        """Read what the device sent; return the broker's answers."""
        answers = b""
        for packet in PacketReader().feed(data):
            self.said.append(packet)
            if packet.kind != PacketKind.PUBLISH:
                continue
            told = mqtt.read_publish(packet.flags, packet.body)
            answers += mqtt.puback(told.packet_id)
            kind = DEFLATED if told.topic.endswith(b"/segment") else JSON
            reading = read(Received(told.topic.decode(), told.payload, kind))
            if not lose:
                self.coverage = self.coverage.settle(ranges_of(record.seq for record in reading.records))
        return answers

    def connect(self, *, lose: bool = False) -> None:
        self.hear(self.device.connect(self.now))
        self.answer(self.device.received(_CONNACK, self.now), lose=lose)

    def answer(self, data: bytes, *, lose: bool = False) -> None:
        while data:
            data = self.device.received(self.hear(data, lose=lose), self.now)

    def tell(self) -> None:
        ack = Ack(
            node="local.sim-1", at=datetime.now(timezone.utc), epoch="e", upto=self.coverage.upto,
            have=[SeqRange(first=a, last=b) for a, b in self.coverage.ahead],
            want=[SeqRange(first=a, last=b) for a, b in self.coverage.holes()],
        )  # fmt: skip
        line = Line.of("edgesdk/1/local.sim-1/down/ack", "application/json")
        self.answer(self.device.received(line.publish(9, encode(ack).payload), self.now))

    def wait(self, seconds: float, *, lose: bool = False) -> None:
        self.now += seconds
        if self.device.ready:
            self.answer(self.device.due(self.now), lose=lose)
        else:
            self.device.due(self.now)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.01, 4)),
        st.tuples(st.just("lose"), st.floats(0.01, 4)),
        st.tuples(st.sampled_from(["break", "connect", "tell"]), st.just(0.0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_whatever_is_lost_between_all_is_stored_in_the_end(history: list[tuple[str, float]]) -> None:
    world = _World()
    for what, seconds in history:
        if what in ("wait", "lose"):
            world.wait(seconds, lose=what == "lose")
        elif what == "break":
            world.device.lost(world.now)
        elif what == "connect" and not world.device.ready:
            world.connect()
        elif what == "tell" and world.device.ready:
            world.tell()
    world.device.stop_reporting()
    if not world.device.ready:
        world.connect()
    for _ in range(40):
        world.wait(5.0)
        world.tell()
    assert len(world.device.outbox) == 0
    assert world.figures.told_stored == world.figures.made
    assert world.coverage.upto == world.device.outbox.next_seq - 1


def test_no_more_are_on_their_way_than_the_broker_allows() -> None:
    world = _World(rate=1000)
    world.hear(world.device.connect(0.0))
    world.now = 1.0
    world.device.due(1.0)
    # An answer with a window of five, and then nothing.
    out = world.device.received(b"\x20\x06\x00\x00\x03\x21\x00\x05", 1.0)
    kinds = [packet.kind for packet in PacketReader().feed(out)]
    assert kinds.count(PacketKind.PUBLISH) == 5
    assert len([p for p in PacketReader().feed(world.device.due(1.5)) if p.kind == PacketKind.PUBLISH]) == 0
    assert IN_FLIGHT > 5


def test_a_device_that_has_nothing_to_say_keeps_its_connection_and_ends_it_well() -> None:
    world = _World(rate=0)
    world.connect()
    assert world.device.due(20.0) == PINGREQ
    assert world.device.goodbye(21.0).endswith(DISCONNECT)


def test_nonsense_on_its_topics_is_passed_over_and_a_command_is_answered() -> None:
    world = _World(rate=0)
    world.connect()
    for payload in (b"", b"[]", b"{", b'{"epoch":"e"}', b'{"epoch":"e","upto":"x"}', b'{"epoch":"other","upto":1}'):
        line = Line.of("edgesdk/1/local.sim-1/down/ack", "")
        assert world.device.received(line.publish(1, payload), 1.0) == mqtt.puback(1)
    out = world.device.received(Line.of("edgesdk/1/local.sim-1/down/cmd", "").publish(2, b'{"id":"c1"}'), 1.0)
    reply = mqtt.read_publish(2, PacketReader().feed(out)[-1].body)
    assert reply.topic == b"edgesdk/1/local.sim-1/up/reply/c1"


def test_one_that_duplicates_or_babbles_says_no_less() -> None:
    world = _World(Faults(duplicates=True, malformed=True))
    world.connect()
    for _ in range(30):
        world.wait(0.5)
        world.tell()
    assert world.figures.malformed > 5
    assert world.figures.sent > 2 * world.figures.made
    assert world.coverage.upto == world.device.outbox.next_seq - 1
