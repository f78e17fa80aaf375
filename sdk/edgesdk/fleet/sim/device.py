"""One simulated device: bytes and a clock in, bytes out. It knows no socket, so all of it can be tried without one.

It does what the agent does: born on each connection, reports with numbers, at most twenty messages on their way, each kept
until a collector tells that it is stored, all of it sent again on a new connection or after two seconds without a word.
"""

from __future__ import annotations

import json
import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from edgesdk.fleet.sim import mqtt_packets as mqtt
from edgesdk.fleet.sim.faults import Faults, malformed_payload
from edgesdk.fleet.sim.figures import Figures
from edgesdk.fleet.sim.mqtt_packets import Login, MalformedPacket, Packet, PacketKind, PacketReader
from edgesdk.fleet.sim.outbox import Kept, Kind, Outbox
from edgesdk.fleet.sim.profiles import Profile
from edgesdk.fleet.sim.speech import Said, Speech

KEEPALIVE_S = 15
SESSION_S = 60
IN_FLIGHT = 20
# Of what stands behind, so much goes into one message.
_SEGMENT = 90
_BACKLOG = 2 * _SEGMENT
_LOOK_AGAIN_S = 0.5
_BETWEEN_BURSTS = 0.05
_MALFORMED_EACH = 10


class Refused(Exception):
    """The broker does not take the device; the text says why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What all devices of a fleet share.

    Attributes:
        rate: reports a second of one device.
        backlog: reports that it has kept when it first connects.
    """

    profile: Profile
    rate: float
    backlog: int = 0


class Device:
    """One device.

    Args:
        chance: of everything that it draws.
        wall_ms: is added to monotonic milliseconds to have those since 1970.
    """

    def __init__(
        self,
        speech: Speech,
        login: Login,
        settings: Settings,
        faults: Faults,
        figures: Figures,
        chance: random.Random,
        wall_ms: float,
    ) -> None:
        self.speech = speech
        self.faults = faults
        self.outbox = Outbox()
        self.session = 0
        self.ready = False
        # When `due` is to be called, monotonic seconds; and when its connection breaks without a word.
        self.next_at = 0.0
        self.breaks_at = float("inf")
        self._login = login
        self._settings = settings
        self._figures = figures
        self._chance = chance
        self._wall_ms = wall_ms + faults.clock_off_ms
        self._reader = PacketReader()
        self._window = IN_FLIGHT
        self._on_way: dict[int, Kept | list[Kept] | None] = {}
        self._to_say: deque[Said] = deque()
        self._packet_id = 0
        self._report_at = 0.0
        self._left_of_burst = 0
        self._made = 0
        self._spoke_at = 0.0
        self._lost_at: float | None = None

    def connect(self, now: float) -> bytes:
        """Return what opens a new connection."""
        self.session += 1
        self._reader = PacketReader()
        self._on_way.clear()
        self._to_say.clear()
        self._spoke_at = now
        will = self.speech.will(self.session, self.outbox.next_seq, self._at_ms(now))
        return mqtt.connect(self._login, will, keepalive_s=KEEPALIVE_S, session_s=SESSION_S)

    def received(self, data: bytes, now: float) -> bytes:
        """Take what the broker says, and return what is to be sent for it.

        Raises:
            MalformedPacket: it is no MQTT.
            Refused: the broker does not take us, or ends the connection.
        """
        out = bytearray()
        for packet in self._reader.feed(data):
            self._packet(packet, now, out)
        self._fill(now, out)
        return bytes(out)

    def lost(self, now: float) -> None:
        """Note that the connection is gone."""
        if self.ready:
            self.ready = False
            self._figures.connected -= 1
            self._figures.lost += 1
            self._lost_at = now
        self.breaks_at = float("inf")

    def due(self, now: float) -> bytes:
        """Do what is due: report, send again what nobody told as stored, keep the connection alive.

        `next_at` then says when to call again. While there is no connection reports are made and kept.
        """
        self._make(now)
        out = bytearray()
        if self.ready:
            if self.outbox.stalled(now):
                self._figures.resent += self.outbox.all_again()
            self._fill(now, out)
            if not out and now - self._spoke_at > KEEPALIVE_S * 0.6:
                out += mqtt.PINGREQ
                self._spoke_at = now
        self.next_at = min(self._report_at, now + _LOOK_AGAIN_S if self.outbox else now + KEEPALIVE_S / 4)
        return bytes(out)

    def begin(self, now: float) -> None:
        """Start its clock: what it has kept from before is made, and reports come from now on, at a moment of its own."""
        period = 1 / self._settings.rate if self._settings.rate else 0.0
        for place in range(self._settings.backlog):
            made = now - (self._settings.backlog - place) * (period or 1.0)
            self._put(made)
        self._report_at = now + self._chance.random() * period if period else float("inf")
        self.next_at = self._report_at

    def stop_reporting(self) -> None:
        """Make no more reports; what is kept is still sent."""
        self._report_at = float("inf")

    def goodbye(self, now: float) -> bytes:
        """Return what ends the connection in good order, so that the will is not said."""
        said = self.speech.closing(self.session, self.outbox.next_seq, self._at_ms(now))
        return said.line.publish(self._next_id(), said.payload, retain=True) + mqtt.DISCONNECT

    def _packet(self, packet: Packet, now: float, out: bytearray) -> None:
        kind = packet.kind
        if kind == PacketKind.PUBACK:
            self._answered(*mqtt.read_puback(packet.body))
        elif kind == PacketKind.PUBLISH:
            told = mqtt.read_publish(packet.flags, packet.body)
            if told.packet_id:
                out += mqtt.puback(told.packet_id)
            self._told(told.topic, told.payload, now)
        elif kind == PacketKind.CONNACK:
            accepted = mqtt.read_connack(packet.body)
            if accepted.reason:
                raise Refused(f"the broker refuses {self._login.client_id}: reason {accepted.reason}")
            self._accepted(accepted.receive_maximum, now, out)
        elif kind == PacketKind.DISCONNECT:
            raise Refused(f"the broker ends the connection: reason {packet.body[0] if packet.body else 0}")

    def _accepted(self, receive_maximum: int, now: float, out: bytearray) -> None:
        self.ready = True
        self._window = min(IN_FLIGHT, receive_maximum)
        figures = self._figures
        figures.connected += 1
        figures.connections += 1
        if self._lost_at is not None:
            figures.back_after.add(now - self._lost_at)
            self._lost_at = None
        out += mqtt.subscribe(self._next_id(), self.speech.listens_to)
        self._to_say.extend(self.speech.opening(self.session, self.outbox.next_seq, self._at_ms(now)))
        again = self.outbox.all_again()
        if self.session > 1:
            figures.resent += again
        online_s = self._settings.profile.online_s or (15.0 if self.faults.disconnects else 0.0)
        if online_s:
            self.breaks_at = now + self._chance.expovariate(1 / online_s)

    def _answered(self, packet_id: int, reason: int) -> None:
        if packet_id not in self._on_way:
            return
        del self._on_way[packet_id]
        if reason < 0x80:
            self._figures.puback += 1
        else:
            self._figures.refused += 1
            self._figures.problem = f"the broker refuses a message: reason {reason}"

    def _told(self, topic: bytes, payload: bytes, now: float) -> None:
        try:
            document: Any = json.loads(payload)
            if topic.endswith(b"/cmd"):
                self._figures.commands += 1
                said = self.speech.refusal(document["id"], self.outbox.next_seq, self._at_ms(now))
                self._to_say.append(said)
                return
            if document["epoch"] != self.speech.epoch:
                return
            upto = int(document["upto"])
            have = [(int(part["first"]), int(part["last"])) for part in document.get("have", ())]
            want = [(int(part["first"]), int(part["last"])) for part in document.get("want", ())]
        except (ValueError, KeyError, TypeError):
            # Whoever may write to our topic may write nonsense there.
            return
        figures = self._figures
        figures.acks += 1
        for kept in self.outbox.settled(upto, have, now):
            if kept.kind is not Kind.GAP:
                figures.told_stored += 1
            figures.stored_after.add(now - kept.made)
        if want:
            self.outbox.again(want)

    def _make(self, now: float) -> None:
        rate = self._settings.rate
        while self._report_at <= now:
            self._put(self._report_at)
            burst = self._settings.profile.burst
            if burst <= 1:
                self._report_at += 1 / rate
            elif self._left_of_burst > 0:
                self._left_of_burst -= 1
                self._report_at += _BETWEEN_BURSTS
            else:
                self._left_of_burst = burst - 1
                self._report_at += self._chance.expovariate(rate / burst)

    def _put(self, made: float) -> None:
        profile = self._settings.profile
        self._made += 1
        drawn = self._chance.random()
        kind = Kind.RESULT
        if profile.telemetry and self._made % round(1 / profile.telemetry) == 0:
            kind = Kind.TELEMETRY
        elif drawn < profile.events:
            kind = Kind.EVENT
        at_ms = self._at_ms(made)
        self._figures.made += 1
        gone = self.outbox.put(kind, at_ms, made, int(drawn * 64))
        if gone is not None:
            self._figures.dropped += 1
            self.outbox.declare(gone, at_ms, made)

    def _fill(self, now: float, out: bytearray) -> None:
        """Send as much as may be on its way."""
        while self.ready and len(self._on_way) < self._window:
            if self._to_say:
                self._send(self._to_say.popleft(), None, now, out)
                continue
            kept = self.outbox.take()
            if kept is None:
                return
            if len(self.outbox) > _BACKLOG and kept.kind is not Kind.GAP:
                self._send_segment(kept, now, out)
                continue
            said = self.speech.report(kept, len(self.outbox))
            self._send(said, kept, now, out)
            if self.faults.duplicates and len(self._on_way) < self._window:
                self._send(said, kept, now, out)
            if self.faults.malformed and kept.seq % _MALFORMED_EACH == 0 and len(self._on_way) < self._window:
                self._figures.malformed += 1
                self._send(self.speech.unreadable(malformed_payload(said.payload, self._chance)), None, now, out)

    def _send_segment(self, first: Kept, now: float, out: bytearray) -> None:
        """Send what stands behind as the agent does: many reports of one kind in one message."""
        found = [first]
        others: list[Kept] = []
        while len(found) < _SEGMENT and len(others) < _SEGMENT and (kept := self.outbox.take()) is not None:
            (found if kept.kind is first.kind else others).append(kept)
        for kept in reversed(others):
            self.outbox.put_back(kept)
        found.sort(key=lambda kept: kept.seq)
        self._send(self.speech.segment(found, self._at_ms(now)), found, now, out)

    def _send(self, said: Said, kept: Kept | list[Kept] | None, now: float, out: bytearray) -> None:
        packet_id = self._next_id()
        self._on_way[packet_id] = kept
        out += said.line.publish(packet_id, said.payload, retain=said.retain)
        self._figures.sent += 1
        self._spoke_at = now

    def _next_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 0xFFFF + 1
            if self._packet_id not in self._on_way:
                return self._packet_id

    def _at_ms(self, now: float) -> int:
        return max(int(now * 1000 + self._wall_ms), 0)


__all__ = ["Device", "MalformedPacket", "Refused", "Settings"]
