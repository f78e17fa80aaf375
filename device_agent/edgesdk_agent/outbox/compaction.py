"""A backlog is packed as it is written: a card then gets an eighth of it, and never the single reports.

The newest segment of a kind grows with each commit until it is full, so that few commits later there is one of ninety instead of
many small ones, which deflate badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.number_ranges import NumberRanges, as_ranges
from edgesdk_agent.outbox.packing import Record, as_records, chunks, packed
from edgesdk_agent.outbox.store import Store, StoredSegment
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_targets.messages import SEGMENT_RECORDS, unpack_segment
from edgesdk_targets.messages.wire import MAX_PAYLOAD_BYTES

# Fewer are left as they are: writing their segment anew would cost more than they do.
_WORTH_PACKING = 8
# So that a long backlog is packed over several commits, and none of them is long.
_AT_A_TIME = 40 * SEGMENT_RECORDS


@dataclass(frozen=True, slots=True)
class Compaction:
    """What packs, in one transaction of the store.

    Attributes:
        node, epoch: of the reports; at: seconds since 1970.
        below: from this number on reports are too young; an acknowledgement is awaited.
        but: reports that stay alone.
    """

    store: Store
    node: str
    epoch: str
    at: float
    below: int
    but: frozenset[int]

    def pack(self, kind: ReportKind, new: Sequence[StoredReport]) -> list[StoredReport]:
        """Pack what is on disk of a kind, and what is new with it; return what of the new stays single."""
        single = self.store.rows(kind, _AT_A_TIME + len(self.but), below=self.below)
        old = [report for report in single if report.seq not in self.but][:_AT_A_TIME]
        fit = [report for report in new if report.seq < self.below and report.seq not in self.but]
        if len(old) + len(fit) < _WORTH_PACKING:
            return list(new)
        records, put_at = as_records([*old, *fit]), min(report.put_at for report in (*old, *fit))
        tail = self._open_segment(kind)
        if tail is not None:
            segment, kept = tail
            records, put_at = sorted([*kept, *records]), min(put_at, segment.put_at)
        pieces = [(chunk, packed(self.node, self.at, self.epoch, chunk)) for chunk in chunks(records)]
        if any(len(body) > MAX_PAYLOAD_BYTES for _, body in pieces):
            return list(new)
        if tail is not None:
            self.store.delete_segment(tail[0])
        for chunk, body in pieces:
            numbers = [seq for seq, _ in chunk]
            self.store.add_segment(kind, numbers, as_ranges(numbers), put_at, body)
        gone = {report.seq for report in fit}
        return [report for report in new if report.seq not in gone]

    def _open_segment(self, kind: ReportKind) -> tuple[StoredSegment, list[Record]] | None:
        """Return the newest segment and what is kept of it, if it has room."""
        segment = next(iter(self.store.segments(kind, newest_first=True)), None)
        if segment is None or segment.count >= SEGMENT_RECORDS:
            return None
        kept, body = NumberRanges(segment.members), self.store.body(segment)
        if body is None:
            return None
        try:
            records = unpack_segment(body)
        except (ValueError, IndexError, KeyError):
            # Whoever reads it will say so; here it is only not added to.
            return None
        return segment, [record for record in records if record[0] in kept]
