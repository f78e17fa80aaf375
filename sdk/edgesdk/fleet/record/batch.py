"""What one message becomes: rows for the store, and nothing of MQTT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from edgesdk.fleet.record.coverage import Range


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
class Record:
    """One report of a device's sequence.

    Attributes:
        at_ms: milliseconds since 1970 by the device's clock.
        body: the message as it was said, JSON.
    """

    stream: Stream
    seq: int
    kind: Kind
    at_ms: int
    body: str


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
    """Who a device is, or whether it is there: outside its sequence, only the last of each kind is kept."""

    stream: Stream
    kind: Kind
    at_ms: int
    body: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A message, or one of a segment's records, that cannot be read.

    Attributes:
        stream, seq: its place, where at least that could be read: it then counts as settled, or the device would
            send it for ever.
        reason: why, in words.
        payload: its beginning.
        size_bytes: of the whole.
    """

    topic: str
    reason: str
    payload: bytes
    size_bytes: int
    stream: Stream | None = None
    seq: int = 0


@dataclass(slots=True)
class Reading:
    """What was read of one message, or of many: what is committed together."""

    records: list[Record] = field(default_factory=list)
    gaps: list[DeclaredGap] = field(default_factory=list)
    presences: list[Presence] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """How many rows it writes, about."""
        return len(self.records) + len(self.gaps) + len(self.presences) + len(self.refusals)

    @property
    def size_bytes(self) -> int:
        """Bytes of bodies."""
        return sum(len(r.body) for r in self.records) + sum(len(r.payload) for r in self.refusals)

    def add(self, other: Reading) -> None:
        """Take everything of another one."""
        self.records += other.records
        self.gaps += other.gaps
        self.presences += other.presences
        self.refusals += other.refusals
