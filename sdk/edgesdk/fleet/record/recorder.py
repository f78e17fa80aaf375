"""The recorder: its parts, wired once, run until told to stop.

    subscription → reading → batch writer → store;  committed → the broker's acknowledgement → the device's

Stop: what was received is committed, acknowledged and told, then the broker hears goodbye.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from edgesdk.fleet.gmqtt_client import Received
from edgesdk.fleet.record.acknowledger import Acknowledger
from edgesdk.fleet.record.batch import Stream
from edgesdk.fleet.record.mqtt_connection import Session
from edgesdk.fleet.record.reading import RECORDED, read
from edgesdk.fleet.record.store import Committed, Store
from edgesdk.fleet.record.subscription import Subscription
from edgesdk.fleet.record.watermark import Word
from edgesdk.fleet.record.writer import BatchWriter
from edgesdk_targets.broker_address import BrokerAddress
from edgesdk_targets.errors import EdgeError, NoSpace
from edgesdk_targets.messages import Ack, SeqRange, encode, topic_of
from edgesdk_targets.topics import every_device

_REFRESH_S = 0.5
_LAST_COMMIT_S = 5.0
_LAST_WORDS_S = 1.0
# A word to a device that is away is worth nothing later: it hears a newer one when it is born.
_WORD_EXPIRES_S = 60
# What a broker may send us without an acknowledgement asked for is not bounded by it; by us it is.
_MAX_WAITING_MESSAGES = 5000
_MAX_SHOWN_NODES = 10_000


@dataclass(slots=True)
class NodeFigures:
    """One device since the recorder's start; `missing` numbers are neither stored nor declared as gone."""

    epoch: str = ""
    stored: int = 0
    upto: int = 0
    missing: int = 0
    heard_at: float = 0.0


@dataclass(slots=True)
class Figures:
    """What the recorder did since its start; `unread` are messages without an acknowledgement that came too fast."""

    messages: int = 0
    stored: int = 0
    duplicates: int = 0
    refused: int = 0
    unread: int = 0
    lost: int = 0
    commits: int = 0
    nodes: dict[str, NodeFigures] = field(default_factory=dict)


class Recorder:
    """Records what all devices of a broker report, in a file.

    Args:
        address: the broker.
        store: the file; stays the caller's to close.
        tls: TLS settings, where the address says TLS.
        keep_s: how long the broker shall keep messages for us while we are away.
    """

    def __init__(
        self, address: BrokerAddress, store: Store, *, tls: ssl.SSLContext | None = None, keep_s: int = 0
    ) -> None:
        self.address = address
        self.figures = Figures()
        self._store = store
        self._acknowledger = Acknowledger(self._say)
        session = Session(
            f"edgesdk-record-{store.recorder_id}", [every_device(channel) for channel in RECORDED], expiry_s=keep_s
        )
        self._subscription = Subscription(address, session, self._receive, tls=tls)
        self._writer: BatchWriter | None = None
        self._leaving = False
        self._left = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._subscription.connected

    @property
    def problem(self) -> str:
        """What keeps it from recording now; empty while nothing does."""
        if self._writer is not None and self._writer.problem:
            return f"{self._store.path}: {self._writer.problem}"
        found = self._subscription.problem
        if found is not None:
            return f"{found.message} {found.hint}"
        return "" if self.connected else f"{self.address}: no connection"

    @property
    def waiting(self) -> int:
        """Messages that are received and not committed yet."""
        return self._writer.waiting if self._writer is not None else 0

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
            NoSpace: the last messages could not be written; they are not acknowledged.
            EdgeError: the file is damaged.
        """
        self._writer = writer = BatchWriter(self._store, self._committed)
        tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(part) for part in (writer.run(), self._acknowledger.run())
        ]
        try:
            await self._subscription.start(wait=wait)
            tasks.append(asyncio.ensure_future(self._subscription.run()))
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
            if not await writer.drain(_LAST_COMMIT_S):
                raise NoSpace(
                    f"{writer.waiting} messages could not be written: {writer.problem or 'the disk is slow'}.",
                    hint="Nothing is lost: they are not acknowledged, and come again when there is room.",
                )
            await self._last_words()
        except sqlite3.Error as error:
            raise EdgeError(
                f"{self._store.path} cannot be written any more: {error}.",
                hint="Move it away and begin a new one; devices send again what it did not acknowledge.",
            ) from error
        finally:
            await self._subscription.close()
            self._left.set()
            await self._end(writer, tasks)

    def to_json(self, seconds: float) -> dict[str, Any]:
        """Return what was done, with stable keys."""
        told = self.figures
        return {
            "broker": str(self.address),
            "db": str(self._store.path),
            "seconds": round(seconds, 3),
            "messages": told.messages,
            "stored": told.stored,
            "duplicates": told.duplicates,
            "refused": told.refused,
            "unread": told.unread,
            "lost": told.lost,
            "commits": told.commits,
            "acknowledgements": self._acknowledger.said,
            "connections": self._subscription.connections,
            "nodes": {
                name: {"epoch": n.epoch, "stored": n.stored, "upto": n.upto, "missing": n.missing}
                for name, n in sorted(told.nodes.items())
            },
        }

    async def _receive(self, received: Received) -> None:
        """Return when the message is committed; from then on the broker may forget it."""
        writer = self._writer
        assert writer is not None  # noqa: S101  (nothing is received before there is one)
        if self._leaving:
            # Not taken, and not acknowledged: who is told the last word is told of all that is stored.
            await self._left.wait()
            return
        self.figures.messages += 1
        if received.qos == 0 and writer.waiting >= _MAX_WAITING_MESSAGES:
            self.figures.unread += 1
            return
        await writer.room()
        await writer.put(read(received))

    def _committed(self, committed: Committed) -> None:
        told = self.figures
        told.commits += 1
        told.stored += sum(committed.stored.values())
        told.duplicates += committed.duplicates
        told.refused += committed.refused
        told.lost += committed.lost
        now = time.monotonic()
        for stream, coverage in committed.coverage.items():
            if stream.node not in told.nodes and len(told.nodes) >= _MAX_SHOWN_NODES:
                continue
            node = told.nodes.setdefault(stream.node, NodeFigures())
            node.epoch, node.upto, node.heard_at = stream.epoch, coverage.upto, now
            node.missing = coverage.highest - coverage.count
            node.stored += committed.stored.get(stream, 0)
        self._acknowledger.note(committed.coverage, committed.repeated)

    async def _say(self, stream: Stream, word: Word) -> bool:
        ack = Ack(
            node=stream.node,
            at=datetime.now(timezone.utc),
            epoch=stream.epoch,
            upto=word.upto,
            have=tuple(SeqRange(first=first, last=last) for first, last in word.have),
            want=tuple(SeqRange(first=first, last=last) for first, last in word.want),
        )
        body = encode(ack)
        return await self._subscription.publish(
            str(topic_of(ack)), body.payload, content_type=body.content_type, expiry_s=_WORD_EXPIRES_S
        )

    async def _last_words(self) -> None:
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._acknowledger.say_all(), _LAST_WORDS_S)
        await self._subscription.wait_answered(_LAST_WORDS_S)

    async def _end(self, writer: BatchWriter, tasks: list[asyncio.Future[Any]]) -> None:
        # What came between the last commit and the goodbye is committed too, if that is quick.
        if not tasks[0].done():
            await writer.drain(_LAST_WORDS_S)
        writer.abandon()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
