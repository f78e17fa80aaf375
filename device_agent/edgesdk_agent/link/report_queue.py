"""Reports that wait for the broker: bounded, in memory, never blocking those who report.

When it is full, the oldest report of the lowest kind goes first (telemetry, then results, then events) and is counted:
a gap is never silent. A report that is on its way is not dropped. Events overtake; results and telemetry leave in the
order of their sequence numbers. The durable `outbox.outbox.Outbox` takes this class's place: same methods, same numbers.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import Ack, Encoded
from edgesdk_targets.topics import Channel

Build = Callable[[str, int], Encoded]


class ReportKind(str, Enum):
    """What is reported, the most precious first."""

    EVENT = "event"
    RESULT = "result"
    TELEMETRY = "telemetry"

    @property
    def channel(self) -> Channel:
        return _CHANNELS[self]


_CHANNELS = {
    ReportKind.EVENT: Channel.EVENT,
    ReportKind.RESULT: Channel.RESULT,
    ReportKind.TELEMETRY: Channel.TELEMETRY,
}
_NEVER_S = 3600.0
_LOWEST_FIRST = tuple(reversed(ReportKind))


@dataclass(frozen=True, slots=True)
class QueuedReport:
    """One message, ready to be sent.

    Attributes:
        seq: of the report; of a segment, which holds several, minus its first.
        segment: a piece of an outbox's backlog.
    """

    seq: int
    kind: ReportKind
    body: Encoded
    segment: bool = False

    @property
    def channel(self) -> Channel:
        return Channel.SEGMENT if self.segment else self.kind.channel

    @property
    def size_bytes(self) -> int:
        return len(self.body.payload)


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """What became of all reports so far: `put + restored = delivered + dropped + refused + pending + in_flight`.

    Attributes:
        restored: what an outbox found on disk when it was opened.
    """

    put: Mapping[str, int]
    delivered: Mapping[str, int]
    dropped: Mapping[str, int]
    refused: Mapping[str, int]
    pending: int
    in_flight: int
    size_bytes: int
    restored: Mapping[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> dict[str, int]:
        """Reports that nobody will ever get, by kind; kinds without loss are left out."""
        totals = {kind: self.dropped[kind] + self.refused[kind] for kind in self.put}
        return {kind: count for kind, count in totals.items() if count}


class ReportQueue:
    """A thread-safe queue of reports with a fixed bound in number and bytes."""

    durable = False

    def __init__(self, *, max_items: int = 10_000, max_bytes: int = 16 << 20, epoch: str = "") -> None:
        """Make an empty queue.

        Raises:
            InputError: a bound is below one.
        """
        if max_items < 1 or max_bytes < 1:
            raise InputError("The queue of reports needs room for at least one.", hint="Raise queue.max_reports.")
        self.epoch = epoch or secrets.token_hex(8)
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._changed = threading.Condition()
        self._waiting: dict[ReportKind, deque[QueuedReport]] = {kind: deque() for kind in ReportKind}
        self._in_flight: OrderedDict[int, QueuedReport] = OrderedDict()
        self._size_bytes = 0
        self._last_seq = 0
        self._counts = {what: dict.fromkeys(ReportKind, 0) for what in ("put", "delivered", "dropped", "refused")}
        self._listener: Callable[[], None] = _nobody

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each put, in the thread that put; it must be quick and not raise."""
        self._listener = listener

    @property
    def next_seq(self) -> int:
        """The number that the next report will get."""
        with self._changed:
            return self._last_seq + 1

    def put(self, kind: ReportKind, build: Build) -> int:
        """Number a report and keep it, at the cost of an older or lesser one where the queue is full.

        Args:
            kind: decides what is dropped first.
            build: called once with epoch and sequence number, while the queue is held, so that numbers and places
                agree; what it raises is passed on, and no number is used.

        Returns:
            The report's sequence number.
        """
        with self._changed:
            seq = self._last_seq + 1
            report = QueuedReport(seq, kind, build(self.epoch, seq))
            self._last_seq = seq
            self._counts["put"][kind] += 1
            self._waiting[kind].append(report)
            self._size_bytes += report.size_bytes
            while self._over() and self._drop_one():
                pass
            self._changed.notify_all()
        self._listener()
        return seq

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        """Return up to `count` reports and note them as on their way; never waits."""
        taken: list[QueuedReport] = []
        with self._changed:
            while len(taken) < count:
                report = self._pop_next()
                if report is None:
                    break
                self._in_flight[report.seq] = report
                taken.append(report)
        return tuple(taken)

    def due_in_s(self) -> float:
        """Seconds after which `take` may have something without a put."""
        return _NEVER_S

    def acknowledge(self, ack: Ack) -> None:
        """Ignore a collector: what is only in memory leaves when the broker has it."""

    def done(self, seq: int) -> None:
        """Forget a report that was delivered. A number that is not on its way is ignored."""
        self._settle(seq, "delivered")

    def refuse(self, seq: int) -> None:
        """Forget a report that the broker will never take, and count it as lost."""
        self._settle(seq, "refused")

    def give_back(self) -> int:
        """Put everything that is on its way back to its old place, after a lost connection; return how many."""
        with self._changed:
            count = len(self._in_flight)
            for report in reversed(self._in_flight.values()):
                self._waiting[report.kind].appendleft(report)
            self._in_flight.clear()
            while self._over() and self._drop_one():
                pass
            self._changed.notify_all()
            return count

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until every report is delivered or dropped; False when the time is up first."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._length():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    @property
    def pending(self) -> int:
        """Reports that are not delivered yet, on their way or not."""
        with self._changed:
            return self._length()

    @property
    def fullness(self) -> float:
        """Between 0 and 1: how much of its room is taken."""
        with self._changed:
            return max(self._length() / self._max_items, self._size_bytes / self._max_bytes)

    def counts(self) -> QueueCounts:
        with self._changed:
            by_kind = {what: {k.value: n for k, n in counts.items()} for what, counts in self._counts.items()}
            on_way = len(self._in_flight)
            return QueueCounts(
                **by_kind, pending=self._length() - on_way, in_flight=on_way, size_bytes=self._size_bytes
            )

    def _length(self) -> int:
        return len(self._in_flight) + sum(len(waiting) for waiting in self._waiting.values())

    def _over(self) -> bool:
        return self._length() > self._max_items or self._size_bytes > self._max_bytes

    def _drop_one(self) -> bool:
        for kind in _LOWEST_FIRST:
            if self._waiting[kind]:
                self._size_bytes -= self._waiting[kind].popleft().size_bytes
                self._counts["dropped"][kind] += 1
                return True
        return False

    def _pop_next(self) -> QueuedReport | None:
        if self._waiting[ReportKind.EVENT]:
            return self._waiting[ReportKind.EVENT].popleft()
        lines = [line for kind, line in self._waiting.items() if kind is not ReportKind.EVENT and line]
        return min(lines, key=lambda line: line[0].seq).popleft() if lines else None

    def _settle(self, seq: int, outcome: str) -> None:
        with self._changed:
            report = self._in_flight.pop(seq, None)
            if report is None:
                return
            self._size_bytes -= report.size_bytes
            self._counts[outcome][report.kind] += 1
            self._changed.notify_all()


def _nobody() -> None:
    pass
