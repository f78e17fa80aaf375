"""What one message becomes: rows for the store, and nothing of MQTT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from sys import getsizeof
from typing import NamedTuple

from pydantic import JsonValue

from edgesdk.fleet.store.coverage import Range
from edgesdk_targets.messages import Message
from edgesdk_targets.messages.snapshot import Snapshot


class Kind(IntEnum):
    """What a record is; the numbers are those of the file."""

    RESULT = 1
    TELEMETRY = 2
    EVENT = 3
    # These stand outside the device's sequence; the last of each is kept.
    BIRTH = 11
    STATE = 12
    REPORTED = 13

    @property
    def label(self) -> str:
        """The name on the command line and in JSON."""
        return self.name.lower()


class Stream(NamedTuple):
    """One device's sequence: its numbers count from 1 within an epoch, which is born with its outbox."""

    node: str
    epoch: str


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One sample of telemetry.

    Attributes:
        figures: in the order of `figures.FIGURES`, scaled; None where the device did not say.
        latency_ms, dropped_by_cause: JSON objects; None where they would be empty.
    """

    at_ms: int
    figures: tuple[int | None, ...]
    latency_ms: str | None = None
    dropped_by_cause: str | None = None
    health: str = ""


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event, in parts that are asked for."""

    name: str
    severity: str
    camera: str
    message: str
    data: Mapping[str, JsonValue]


class Record(NamedTuple):
    """One report of a device's sequence.

    Attributes:
        at_ms: milliseconds since 1970 by the device's clock, or by ours where that is not to be trusted.
        body: the message as it was said, JSON.
        live: said when it was made, not as a piece of backlog.
        camera, labels: of a result: its camera, and what was seen (`|person|car|`).
        event, samples: what an event and telemetry consist of.
    """

    stream: Stream
    seq: int
    kind: Kind
    at_ms: int
    body: str
    live: bool = True
    camera: str | None = None
    labels: str | None = None
    event: EventRow | None = None
    samples: tuple[SampleRow, ...] = ()


@dataclass(frozen=True, slots=True)
class DeclaredGap:
    """Numbers of which the device says that it will never send them.

    Attributes:
        span: the first and the last of them.
        declared_seq: the record that says so.
        cause: why, in one word of the wire.
        reports: how many reports of each kind are lost; empty where nobody knows, or none is.
    """

    stream: Stream
    span: Range
    declared_seq: int
    at_ms: int
    cause: str
    reports: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Presence:
    """Who a device is, or whether it is there: outside its sequence, only the last of each kind is kept.

    Attributes:
        message: as it was read; None where only the text matters.
        retained: the broker had kept it: it is of any age, and nobody spoke just now.
    """

    stream: Stream
    kind: Kind
    at_ms: int
    body: str
    message: Message | None = None
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A snapshot, outside its device's sequence."""

    stream: Stream
    at_ms: int
    snapshot: Snapshot
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message, or one of a segment's records, that cannot be read.

    Attributes:
        stream, seq: its place, where at least that could be read: it then counts as settled, or the device would
            send it for ever.
        reason: why, in words.
        payload: its beginning.
        size_bytes: of the whole.
        says: of which device it says that it is, where its topic is another's.
    """

    topic: str
    reason: str
    payload: bytes
    size_bytes: int
    stream: Stream | None = None
    seq: int = 0
    says: str = ""


@dataclass(slots=True)
class Reading:
    """What was read of one message, or of many: what is committed together."""

    records: list[Record] = field(default_factory=list)
    gaps: list[DeclaredGap] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows it writes, about."""
        return len(self.records) + len(self.gaps) + len(self.presences) + len(self.refusals) + len(self.pictures)

    @property
    def size_bytes(self) -> int:
        """Bytes of bodies, as they lie in memory: of a text, that depends on what is written in it."""
        # Nearly always of one record: a loop costs less than to begin one for each kind.
        size = 0
        for said in self.records:
            size += getsizeof(said.body)
        for word in self.presences:
            size += getsizeof(word.body)
        for refusal in self.refusals:
            size += getsizeof(refusal.payload)
        for picture in self.pictures:
            size += getsizeof(picture.jpeg)
        return size

    def add(self, other: Reading) -> None:
        """Take everything of another one."""
        self.records += other.records
        self.gaps += other.gaps
        self.presences += other.presences
        self.refusals += other.refusals
        self.pictures += other.pictures
