"""What leaves the outbox, and what is answered: live before backlog, and again what nobody has."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import replace

from edgesdk_agent.link.report_queue import QueuedReport, ReportKind
from edgesdk_agent.outbox.backlog import Piece, next_piece
from edgesdk_agent.outbox.database import StoreDamaged, StoreUnavailable
from edgesdk_agent.outbox.in_memory import InMemory
from edgesdk_agent.outbox.number_ranges import Range, as_ranges
from edgesdk_agent.outbox.packing import as_records, chunks, packed
from edgesdk_targets.messages import COLUMNS, Ack, Encoded, GapCause, content_type_of_segment, deflated_segment
from edgesdk_targets.messages.wire import MAX_PAYLOAD_BYTES

log = logging.getLogger(__name__)

# Of the messages on their way, so many may be backlog: a live report never waits behind more.
_BACKLOG_ON_WAY = 4


class Sending(InMemory, ABC):
    """An outbox as the link sees it."""

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        """Return up to `count` messages to send now, live ones before backlog; never waits for the network."""
        taken: list[QueuedReport] = []
        while len(taken) < count:
            report = self._next_live() or self._next_of_backlog()
            if report is None:
                break
            taken.append(report)
        return tuple(taken)

    def due_in_s(self) -> float:
        """Seconds after which `take` may have something without a put."""
        with self._memory:
            return 0.25 if self._kept else 3600.0

    def done(self, seq: int) -> None:
        """The broker has a message. Where no collector acknowledges, that is all that is asked for."""
        with self._memory:
            numbers = self._on_way.pop(seq, None)
            if numbers is not None and not self.settings.by_collector:
                for first, last in numbers:
                    self._remove(first, last)
                self._memory.notify_all()

    def refuse(self, seq: int) -> None:
        """The broker will never take a message: what is in it is lost, and told as a gap."""
        with self._memory:
            for first, last in self._on_way.pop(seq, []):
                for a, b in self._kept.within(first, last):
                    self._gone += [((a, b), GapCause.REFUSED, None)]

    def give_back(self) -> int:
        """The connection is lost: what is on its way is sent again on the next one; return how many messages."""
        with self._memory:
            count = len(self._on_way)
            self._on_way.clear()
            self._ready.clear()
            self._connected = False
            self._pace.begin()
            self._requeue()
            return count

    def acknowledge(self, ack: Ack) -> None:
        """A collector tells what it has, and what it wants. What cannot be meant for us is ignored and counted."""
        ranges = [(1, ack.upto)] if ack.upto else []
        ranges += [(part.first, part.last) for part in ack.have]
        with self._memory:
            highest = max([0, *(last for _, last in ranges), *(part.last for part in ack.want)])
            if ack.epoch != self.epoch or highest >= self._next_seq:
                self._ignored_acks += 1
                return
            self._ack_at = self._clock()
            self._taken = frozenset(ack.takes)
            if self.settings.once_heard and not self.settings.by_collector:
                log.info("A collector acknowledges: from now on reports are kept until it has them")
                self.settings = replace(self.settings, by_collector=True)
            removed = [part for first, last in ranges for part in self._remove(first, last)]
            self._pace.progress(removed)
            for part in ack.want:
                self._pace.again(part.first, part.last)
                for hole in self._kept.absent(max(part.first, 1), part.last):
                    self._gone.append((hole, GapCause.SETTLED, None))
            self._memory.notify_all()

    def _next_live(self) -> QueuedReport | None:
        with self._memory:
            self._connected = True
            events = self._live[ReportKind.EVENT]
            others = [self._live[ReportKind.RESULT], self._live[ReportKind.TELEMETRY]]
            lines = [events] if events else sorted(filter(None, others), key=lambda line: line[0])
            for line in (*lines, *(line for line in others if line and line not in lines)):
                while line:
                    report = self._fresh.get(line[0])
                    if report is None:
                        line.popleft()
                        continue
                    # A number that is not durable yet might be given again after a crash.
                    if report.seq > self._ceiling or not self._meter.allows(report.kind):
                        break
                    line.popleft()
                    self._pace.sending_live(report.seq, report.seq)
                    return self._leaving(
                        QueuedReport(report.seq, report.kind, report.encoded), [(report.seq, report.seq)]
                    )
            return None

    def _next_of_backlog(self) -> QueuedReport | None:
        with self._memory:
            if self._ready:
                report = self._ready.popleft()
                return self._leaving(report, [(report.seq, report.seq)])
            if self._pace.stalled():
                self._resent += 1
                # It may be another collector that is there now, and one of an earlier version.
                self._taken = frozenset()
                self._requeue()
            backlog_on_way = sum(1 for key in self._on_way if key < 0 or key not in self._fresh)
            waiting = len(self._kept) - len(self._fresh)
            if waiting <= 0 or backlog_on_way >= _BACKLOG_ON_WAY or not self._pace.may_send():
                return None
            below = next(iter(self._fresh), self._next_seq)
        # While a commit syncs, what is live must not wait for it; the keeper calls when the disk is free again.
        if not self._disk.acquire(blocking=False):
            self._waits_for_disk = True
            return None
        try:
            return self._from_disk(below)
        except StoreUnavailable as error:
            self._tell("outbox_unavailable", str(error))
        except StoreDamaged as error:
            self._rescue(str(error))
        finally:
            self._disk.release()
        return None

    def _from_disk(self, below: int) -> QueuedReport | None:
        if self._store is None:
            return None
        with self._memory:
            due = self._kept.without(self._pace.sent)
        piece = next_piece(
            self._store,
            due,
            below=below,
            oldest_first=self._pace.oldest_first or not self.settings.by_collector,
            allowed=self._meter.allows,
        )
        if piece is None:
            return None
        if not self.settings.by_collector:
            return self._singly(piece)
        found = self._segment(piece)
        if found is None:
            return None
        message, numbers = found
        with self._memory:
            self._pace.sending(numbers)
            return self._leaving(message, numbers)

    def _segment(self, piece: Piece) -> tuple[QueuedReport, list[Range]] | None:
        """Return a message and the numbers in it; None where what is stored is spoilt."""
        assert self._store is not None  # noqa: S101  (the caller holds it)
        if piece.segment is not None:
            stored = self._store.body(piece.segment)
            if stored is None:
                return None
            try:
                body = self._as_taken(stored)
            except ValueError:
                self._store.spoilt.add(-piece.segment.id)
                return None
            return QueuedReport(-piece.segment.first, piece.kind, body, segment=True), list(piece.segment.members)
        records = next(chunks(as_records(piece.reports)))
        body = self._as_taken(packed(self._node, self._wall(), self.epoch, records))
        numbers = as_ranges([seq for seq, _ in records])
        if len(body.payload) > MAX_PAYLOAD_BYTES:
            report = min(piece.reports, key=lambda report: report.seq)
            return QueuedReport(report.seq, piece.kind, report.encoded), [(report.seq, report.seq)]
        return QueuedReport(-numbers[0][0], piece.kind, body, segment=True), numbers

    def _as_taken(self, segment: bytes) -> Encoded:
        """Return a segment as the collector takes it; deflated until it has said that it reads tables."""
        if COLUMNS not in self._taken:
            segment = deflated_segment(segment)
        return Encoded(segment, content_type_of_segment(segment))

    def _singly(self, piece: Piece) -> QueuedReport | None:
        """Without a collector that knows segments, the backlog travels as it would have when it was new."""
        with self._memory:
            self._pace.sending(piece.numbers)
            for report in sorted(piece.reports, key=lambda report: report.seq):
                self._ready.append(QueuedReport(report.seq, report.kind, report.encoded))
            if not self._ready:
                return None
            first = self._ready.popleft()
            return self._leaving(first, [(first.seq, first.seq)])

    def _leaving(self, report: QueuedReport, numbers: list[Range]) -> QueuedReport:
        self._on_way[report.seq] = numbers
        self._meter.sent(report.size_bytes)
        return report

    @abstractmethod
    def _rescue(self, reason: str) -> None:
        """Begin anew after damage; only the whole outbox can."""
