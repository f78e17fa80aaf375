"""Many devices on one thread: their sockets, and the clock that wakes each of them when it has something to do."""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk.fleet.sim.certificates import TlsOf
from edgesdk.fleet.sim.device import Device, Refused
from edgesdk.fleet.sim.figures import Figures
from edgesdk.fleet.sim.mqtt_packets import MalformedPacket
from edgesdk.fleet.sim.wire import READ, Lost, Wire
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import NotConnected

# As the agent's own: doubled each time, and not all at once.
RETRY_FIRST_S, RETRY_LIMIT_S = 1.0, 60.0
_STEADY_AFTER_S = 10.0
_CONNECT_TIMEOUT_S = 10.0
_GOODBYE_S = 2.0
_SLOW_S = (1.0, 3.0)
_LONGEST_WAIT_S = 0.25
_SOONEST_S = 0.001


@dataclass(slots=True)
class _Place:
    """One device and the state of its connection.

    Attributes:
        opened_at: when the present connection was begun; retry_s: how long to wait before the next.
        registered: what the selector watches; deaf_until: it reads nothing before.
        turn: tells an entry of the clock that is still meant from one that was replaced.
    """

    device: Device
    wire: Wire | None = None
    opened_at: float = 0.0
    retry_s: float = RETRY_FIRST_S
    connect_at: float = 0.0
    registered: int = 0
    deaf_until: float = 0.0
    turn: int = 0


class Crowd:
    """Runs devices.

    Args:
        within_s: they connect for the first time spread over so long.
        away_s: one that breaks its connection stays away for at most so long before it tries again.
    """

    def __init__(
        self,
        address: BrokerAddress,
        devices: list[Device],
        figures: Figures,
        tls_of: TlsOf,
        *,
        within_s: float = 0.0,
        away_s: float = 0.0,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._address = address
        self._where = _resolved(address)
        self._tls_of = tls_of
        self._figures = figures
        self._away_s = away_s
        self._chance = random.Random(f"crowd {seed}")  # noqa: S311  (nothing secret)
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, int, _Place]] = []
        self._order = itertools.count()
        self._places = [_Place(device) for device in devices]
        self._leaving = False
        began = clock()
        for index, place in enumerate(self._places):
            place.connect_at = began + within_s * index / max(len(devices), 1)
            place.device.begin(place.connect_at)
            self._wake(place)

    @property
    def kept(self) -> int:
        """Reports of all devices that nobody has told as stored."""
        return sum(len(place.device.outbox) for place in self._places)

    def stop_reporting(self) -> None:
        """Make no more reports; what is kept is still sent."""
        for place in self._places:
            place.device.stop_reporting()

    def run_until(self, at: float, done: Callable[[], bool] = lambda: False) -> None:
        """Run until a moment of the clock, or until something is so; it is asked a few times a second."""
        while not done():
            until = min(at, self._clock() + _LONGEST_WAIT_S)
            while (now := self._clock()) < until:
                self._turn(min(until, self._timers[0][0] if self._timers else until) - now)
            if now >= at:
                return

    def leave(self) -> None:
        """Say goodbye for every device, and close all connections."""
        self._leaving = True
        now = self._clock()
        for place in self._places:
            if place.wire is not None and place.device.ready:
                self._guarded(place, lambda p=place: p.wire.write(p.device.goodbye(now)))  # type: ignore[misc]
        end = now + _GOODBYE_S
        while self._clock() < end and any(p.wire is not None and p.registered != READ for p in self._places):
            self._turn(0.05)
        self.close()

    def close(self) -> None:
        """Close all connections without a word."""
        for place in self._places:
            self._drop(place)
        self._selector.close()

    def _turn(self, timeout_s: float) -> None:
        for key, mask in self._selector.select(max(timeout_s, 0)):
            place: _Place = key.data
            self._guarded(place, lambda p=place, m=mask: self._ready(p, m))  # type: ignore[misc]
        now = self._clock()
        while self._timers and self._timers[0][0] <= now and not self._leaving:
            _, _, turn, place = heapq.heappop(self._timers)
            if turn == place.turn:
                self._guarded(place, lambda p=place: self._due(p, self._clock()))  # type: ignore[misc]
                self._wake(place)

    def _guarded(self, place: _Place, work: Callable[[], None]) -> None:
        """Do something with a connection; one that is lost is made again later."""
        try:
            work()
        except (Lost, MalformedPacket, Refused) as error:
            if not self._leaving:
                self._figures.problem = str(error)
            self._gone(place, self._clock())
            self._wake(place)

    def _ready(self, place: _Place, mask: int) -> None:
        wire, now = place.wire, self._clock()
        if wire is None:
            return
        if not wire.open:
            if wire.step():
                self._send(wire, place.device.connect(now))
            self._watch(place, wire)
            return
        if mask & READ:
            data = wire.read()
            if data:
                self._figures.bytes_in += len(data)
                if place.device.faults.slow and place.device.ready:
                    place.deaf_until = now + self._chance.uniform(*_SLOW_S)
                before = place.device.ready
                self._send(wire, place.device.received(data, now))
                if place.device.ready is not before or place.deaf_until > now:
                    self._wake(place)
        wire.flush()
        self._watch(place, wire)

    def _due(self, place: _Place, now: float) -> None:
        device = place.device
        out = device.due(now)
        wire = place.wire
        if wire is None:
            if now >= place.connect_at:
                self._connect(place, now)
            return
        if not device.ready and now - place.opened_at > _CONNECT_TIMEOUT_S:
            raise Lost("the broker does not answer")
        if now >= device.breaks_at:
            # Without a word: the device had its plug pulled.
            self._gone(place, now, self._chance.uniform(0.5, max(self._away_s, 1.0)))
            return
        if out:
            self._send(wire, out)
        self._watch(place, wire)

    def _connect(self, place: _Place, now: float) -> None:
        place.opened_at = now
        try:
            place.wire = Wire(self._where, self._address.host, self._tls_of(place.device.speech.node))
        except OSError as error:
            raise Lost(error.strerror or str(error)) from error
        self._watch(place, place.wire)

    def _send(self, wire: Wire, data: bytes) -> None:
        if data:
            self._figures.bytes_out += len(data)
            wire.write(data)

    def _watch(self, place: _Place, wire: Wire) -> None:
        wanted = wire.wants
        if place.deaf_until:
            if place.deaf_until > self._clock():
                wanted &= ~READ
            else:
                place.deaf_until = 0.0
        if wanted == place.registered and wire.open:
            return
        # A handshake puts another socket in the place of the first, of the same number.
        if place.registered:
            self._selector.unregister(wire.fileno)
        if wanted:
            self._selector.register(wire.fileno, wanted, place)
        place.registered = wanted

    def _gone(self, place: _Place, now: float, away_s: float | None = None) -> None:
        steady = place.device.ready and now - place.opened_at > _STEADY_AFTER_S
        place.device.lost(now)
        self._drop(place)
        if steady or away_s is not None:
            place.retry_s = RETRY_FIRST_S
        place.connect_at = now + (place.retry_s * self._chance.uniform(0.5, 1.0) if away_s is None else away_s)
        place.retry_s = min(2 * place.retry_s, RETRY_LIMIT_S)

    def _drop(self, place: _Place) -> None:
        wire, place.wire = place.wire, None
        if wire is not None:
            if place.registered:
                self._selector.unregister(wire.fileno)
            wire.close()
        place.registered, place.deaf_until = 0, 0.0

    def _wake(self, place: _Place) -> None:
        """Put the device's next moment into the clock, in place of the one that stands there."""
        at = min(place.device.next_at, place.device.breaks_at)
        if place.wire is None:
            at = min(at, place.connect_at) if place.connect_at > self._clock() else place.connect_at
        elif not place.device.ready:
            at = min(at, place.opened_at + _CONNECT_TIMEOUT_S)
        if place.deaf_until:
            at = min(at, place.deaf_until)
        place.turn += 1
        # Never at once: whatever is due again and again must not keep the sockets waiting.
        heapq.heappush(self._timers, (max(at, self._clock() + _SOONEST_S), next(self._order), place.turn, place))


def _resolved(address: BrokerAddress) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    try:
        family, *_, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise NotConnected(
            f"{address.host} has no address: {error.strerror}.", hint="Correct the broker's URL."
        ) from error
    return family, place
