"""Keeps Home Assistant told: of each device that is born, and of its figures, at most so often."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.interop.home_assistant import STATUS_TOPIC, Publication, discovery, removal, state
from edgesdk.fleet.subscriber import Subscriber
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import InputError, NotConnected
from edgesdk_targets.messages import Birth, Telemetry, decode
from edgesdk_targets.topics import Channel, Node, Topic, every_device

log = logging.getLogger(__name__)

_RETRY_S = 5.0
# However many names somebody invents.
_MAX_DEVICES = 10_000


@dataclass(slots=True)
class _Known:
    announced: Publication
    bundle: str
    said_at: float = float("-inf")


class HomeAssistantBridge:
    """What is to be said, message by message; no socket of its own.

    Args:
        say: is given what to publish, retained.
        every_s: the shortest time between two states of one device.
        dashboard: its address, under which each device has its page; empty where there is none.
    """

    def __init__(
        self,
        say: Callable[[Publication], None],
        *,
        every_s: float = 10.0,
        dashboard: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every_s = every_s
        self._dashboard = dashboard.rstrip("/")
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self.unreadable = 0

    @property
    def devices(self) -> int:
        return len(self._known)

    def take(self, got: Received) -> None:
        """Take any message of the broker; what cannot be read is counted."""
        if got.topic == STATUS_TOPIC:
            # Home Assistant was started anew; what is retained it has, and this is for those who clear the broker.
            if got.payload == b"online":
                self.announce_all()
            return
        if not got.payload:
            self._cleared(got.topic)
            return
        try:
            message = decode(got.topic, got.payload, got.content_type)
        except InputError:
            self.unreadable += 1
            return
        if isinstance(message, Birth):
            self._born(message)
        elif isinstance(message, Telemetry) and not got.retained:
            self._told(message)

    def announce_all(self) -> None:
        """Say again which devices there are."""
        for known in self._known.values():
            self._say(known.announced)

    def _cleared(self, topic: str) -> None:
        """Take a device away whose birth was cleared at the broker: it is none of the fleet any more."""
        with contextlib.suppress(InputError):
            said = Topic.parse(topic)
            if said.channel is Channel.BIRTH and self._known.pop(str(said.node), None) is not None:
                for publication in removal(said.node):
                    self._say(publication)

    def _born(self, birth: Birth) -> None:
        known = self._known.get(birth.node)
        if known is None and len(self._known) >= _MAX_DEVICES:
            return
        page = f"{self._dashboard}/devices/{birth.node}" if self._dashboard else ""
        announced = discovery(birth, page=page)
        bundle = f"{birth.bundle.name} {birth.bundle.version}".strip()
        if known is None or known.announced != announced:
            self._say(announced)
        self._known[birth.node] = _Known(announced, bundle, float("-inf") if known is None else known.said_at)

    def _told(self, telemetry: Telemetry) -> None:
        known = self._known.get(telemetry.node)
        now = self._clock()
        if known is None or now - known.said_at < self._every_s:
            return
        known.said_at = now
        self._say(state(Node.parse(telemetry.node), telemetry.samples[-1], known.bundle))


async def run_bridge(
    address: BrokerAddress,
    *,
    tls: ssl.SSLContext | None = None,
    every_s: float = 10.0,
    dashboard: str = "",
    stop: asyncio.Event | None = None,
    ready: Callable[[], None] = lambda: None,
) -> HomeAssistantBridge:
    """Keep Home Assistant told until `stop` is set, over a connection of its own.

    Raises:
        NotConnected: the broker does not take us.
    """

    def say(publication: Publication) -> None:
        subscriber.publish(publication.topic, publication.payload, content_type="application/json", retain=True)

    bridge = HomeAssistantBridge(say, every_s=every_s, dashboard=dashboard)
    filters = [every_device(Channel.BIRTH), every_device(Channel.TELEMETRY), STATUS_TOPIC]
    subscriber = Subscriber(address, filters, bridge.take, tls=tls)
    await subscriber.start()
    ready()
    try:
        await (stop or asyncio.Event()).wait()
    finally:
        await subscriber.stop()
    return bridge


async def keep_bridge(
    address: BrokerAddress, *, tls: ssl.SSLContext | None, dashboard: str, stop: asyncio.Event
) -> None:
    """Do as `run_bridge` does, and wait for a broker that is not there, until `stop` is set."""
    while not stop.is_set():
        try:
            await run_bridge(address, tls=tls, dashboard=dashboard, stop=stop)
        except NotConnected as error:
            log.warning("Home Assistant is told nothing: %s", error.message)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), _RETRY_S)
