"""The collector: its parts, wired once, run until told to stop.

    subscription → reading → batch writer → store;  committed → the broker's acknowledgement → the device's

Stop: what was received is committed, acknowledged and told, then the broker hears goodbye.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edgesdk.fleet.collect.acknowledger import Acknowledger
from edgesdk.fleet.collect.figures import Figures
from edgesdk.fleet.collect.mqtt_connection import WINDOW_MESSAGES, Session
from edgesdk.fleet.collect.reading import IN_SEQUENCE, OUTSIDE, read
from edgesdk.fleet.collect.speaker import Speaker
from edgesdk.fleet.collect.subscription import Subscription
from edgesdk.fleet.collect.upkeep import Upkeep
from edgesdk.fleet.collect.usual_result import read_usual_result
from edgesdk.fleet.collect.writer import BatchWriter
from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.store.batch import Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.ingest import Committed, Ingest
from edgesdk.fleet.store.retention import Keep
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, NoSpace
from edgesdk_targets.topics import every_device

_GROUP = "edgesdk"
_REFRESH_S = 0.5
_LAST_COMMIT_S = 5.0
_LAST_WORDS_S = 1.0
# What a broker may send us without an acknowledgement asked for is not bounded by it; by us it is. Beside a whole window of
# the others, as a backlog fills that, there is room for as many of these.
_MAX_WAITING_MESSAGES = 2 * WINDOW_MESSAGES


class Collector:
    """Records what all devices of a broker report.

    Args:
        address: the broker.
        store: where to; stays the caller's to close.
        tls: TLS settings, where the address says TLS.
        keep_s: how long the broker shall keep messages for us while we are away; not where collectors share the work.
        keep: how long the store keeps what; None: nothing is forgotten here, and nothing rolled up.
    """

    def __init__(
        self,
        address: BrokerAddress,
        store: Ingest,
        *,
        tls: ssl.SSLContext | None = None,
        keep_s: int = 0,
        keep: Keep | None = None,
    ) -> None:
        self.address = address
        self.figures = Figures()
        self._store = store
        self._upkeep = None if keep is None else Upkeep(store.engine, store.media, keep)
        session = _session(store, keep_s)
        self._subscription = Subscription(address, session, self._receive, self, tls=tls)
        self._speaker = Speaker(self._subscription, self._coverage if store.shared else None)
        self._acknowledger = Acknowledger(self._speaker.say)
        self._writer: BatchWriter | None = None
        self._leaving = False
        # What is not to be acknowledged waits for this; there is one while it runs.
        self._never: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        return self._subscription.connected

    @property
    def problem(self) -> str:
        """What keeps it from recording now; empty while nothing does."""
        if self._writer is not None and self._writer.problem:
            return self._writer.problem
        found = self._subscription.problem
        if found is not None:
            return f"{found.message} {found.hint}"
        return "" if self.connected else f"{self.address}: no connection"

    @property
    def waiting(self) -> int:
        """Messages that are received and not committed yet."""
        return self._writer.waiting if self._writer is not None else 0

    @property
    def has_room(self) -> bool:
        """Whether a message that comes now finds room; at the end none is taken, and none needs any."""
        return self._leaving or self._writer is None or self._writer.has_room

    async def room(self) -> None:
        """Wait until there is room for a message."""
        if not self.has_room and self._writer is not None:
            await self._writer.room()

    async def run(
        self,
        stop: asyncio.Event,
        *,
        duration_s: float | None = None,
        wait: bool = False,
        ready: Callable[[], None] | None = None,
        show: Callable[[], None] | None = None,
    ) -> None:
        """Record until told to stop, or the time is up.

        Args:
            wait: wait for a broker that does not answer at the start.
            ready: is called when the broker has confirmed that it will pass everything on, or is waited for.
            show: is called at once and then twice a second.

        Raises:
            NotConnected: there is no broker at the start, or it does not take us.
            NoSpace, StoreBusy: the last messages could not be written, or not in time; they are not acknowledged.
            StoreFailed: the store is damaged.
        """
        self._never = never = asyncio.get_running_loop().create_future()
        self._writer = writer = BatchWriter(self._store, self._committed, self.figures.note_lags)
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(part) for part in (writer.run(), self._acknowledger.run())
        ]
        try:
            await self._subscription.start(wait=wait)
            tasks.append(asyncio.ensure_future(self._subscription.run()))
            if self._upkeep is not None:
                tasks.append(asyncio.ensure_future(self._upkeep.run()))
            if ready is not None:
                ready()
            end = math.inf if duration_s is None else time.monotonic() + duration_s
            stopped = asyncio.ensure_future(stop.wait())
            tasks.append(stopped)
            while not stop.is_set() and (left := end - time.monotonic()) > 0:
                if show is not None:
                    show()
                done, _ = await asyncio.wait(tasks, timeout=min(left, _REFRESH_S), return_when=asyncio.FIRST_COMPLETED)
                for task in done - {stopped}:
                    task.result()
            self._leaving = True
            written = await writer.drain(_LAST_COMMIT_S)
            if not written and not writer.problem:
                # It is behind, and goes on: what it has is bounded, and worth as much time again.
                written = await writer.drain(_LAST_COMMIT_S)
            if not written:
                raise _unwritten(writer)
            await self._last_words()
        finally:
            await self._subscription.close()
            never.cancel()
            await self._end(writer, tasks)

    def to_json(self, seconds: float) -> dict[str, Any]:
        """Return what was done, with stable keys."""
        told = self.figures
        return {
            "broker": str(self.address),
            "db": str(self._store.place),
            "seconds": round(seconds, 3),
            **told.to_json(),
            "acknowledgements": self._acknowledger.said,
            "connections": self._subscription.connections,
            "nodes": {
                name: {"epoch": n.epoch, "stored": n.stored, "upto": n.upto, "missing": n.missing}
                for name, n in sorted(told.nodes.items())
            },
        }

    def _receive(self, received: Received) -> asyncio.Future[Any]:
        """Return what is done when the message is committed; from then on the broker may forget it."""
        writer, never = self._writer, self._never
        assert writer is not None  # noqa: S101  (nothing is received before there is one)
        assert never is not None  # noqa: S101
        if self._leaving:
            # Not taken, and not acknowledged: who is told the last word is told of all that is stored.
            return never
        self.figures.messages += 1
        # Nobody waits for our acknowledgement of these; they must not take the room of what somebody does wait for.
        if received.qos == 0 and (writer.waiting >= _MAX_WAITING_MESSAGES or not writer.has_room):
            self.figures.unread += 1
            return never
        return _put(writer, received)

    def _committed(self, committed: Committed) -> None:
        self.figures.note(committed)
        self._acknowledger.note(committed.coverage, committed.repeated)

    async def _coverage(self, stream: Stream) -> Coverage:
        assert self._writer is not None  # noqa: S101  (there is one while anything is said)
        return await self._writer.coverage(stream)

    async def _last_words(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._acknowledger.say_all(), _LAST_WORDS_S)

    async def _end(self, writer: BatchWriter, tasks: list[asyncio.Future[Any]]) -> None:
        # What came between the last commit and the goodbye is committed too, if that is quick.
        if not tasks[0].done():
            await writer.drain(_LAST_WORDS_S)
        writer.abandon()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()


def _unwritten(writer: BatchWriter) -> EdgeError:
    if writer.problem:
        return NoSpace(
            f"{writer.waiting} messages could not be written: {writer.problem}.",
            hint="Nothing is lost: they are not acknowledged, and come again when there is room.",
        )
    return StoreBusy(
        f"{writer.waiting} messages were not written in time: the store is slower than what came.",
        hint="Nothing is lost: they are not acknowledged, and come again at the next start.",
    )


def _put(writer: BatchWriter, received: Received) -> asyncio.Future[None]:
    record = read_usual_result(received)
    if record is not None:
        return writer.put_record(record, received.received_ms)
    return writer.put(read(received), received.received_ms)


def _session(store: Ingest, keep_s: int) -> Session:
    """Return what is asked of the broker.

    Several collectors that write one store share the devices' sequences: each message comes to one of them. Their
    sessions are clean, so that nothing waits for one that died: devices send again what nobody stored. Who a device is
    comes to each of them, as brokers give nothing that they kept to those who share.
    """
    if not store.shared:
        name = f"edgesdk-record-{store.recorder_id}"
        return Session(name, [every_device(channel) for channel in (*IN_SEQUENCE, *OUTSIDE)], expiry_s=keep_s)
    shared = [f"$share/{_GROUP}/{every_device(channel)}" for channel in IN_SEQUENCE]
    name = f"edgesdk-collect-{secrets.token_hex(6)}"
    return Session(name, [*shared, *(every_device(channel) for channel in OUTSIDE)])
