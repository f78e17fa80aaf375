"""What of the disk is sent next: events, then what is newest, and nothing twice for no reason.

Without progress the order turns round: then a collector that tells only its watermark gets the oldest, and frees it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.number_ranges import NumberRanges, Range, as_ranges
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_agent.outbox.store import Store, StoredSegment
from edgesdk_agent.outbox.stored_report import KINDS, StoredReport
from edgesdk_targets.messages import SEGMENT_RECORDS

_LONGEST_BACKOFF_S = 60.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to send: a stored segment, or single reports to be packed into one; newest first."""

    kind: ReportKind
    segment: StoredSegment | None
    reports: tuple[StoredReport, ...] = ()

    @property
    def numbers(self) -> list[Range]:
        return list(self.segment.members) if self.segment else as_ranges(sorted(r.seq for r in self.reports))


class BacklogPace:
    """When the backlog may be sent, and what was; one lock of the owner's guards it.

    Attributes:
        sent: numbers that were sent, live or from the backlog, and are neither acknowledged nor given up.
    """

    def __init__(self, settings: OutboxSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self.sent = NumberRanges()
        self.oldest_first = False
        self._backlog_sent = NumberRanges()
        self._tokens = 0.0
        self._filled_at = clock()
        self._progress_at = clock()
        self._backoff_s = settings.resend_s

    def begin(self) -> None:
        """A new connection: nothing is on its way."""
        self._forget_sent()
        self._progress_at = self._clock()
        self._backoff_s = self._settings.resend_s

    def progress(self, removed: list[Range]) -> None:
        """The collector has these."""
        for first, last in removed:
            self.sent.remove(first, last)
            self._backlog_sent.remove(first, last)
        if removed:
            self._progress_at = self._clock()
            self._backoff_s = self._settings.resend_s

    def again(self, first: int, last: int) -> None:
        """These are wanted once more."""
        self.sent.remove(first, last)
        self._backlog_sent.remove(first, last)

    def stalled(self) -> bool:
        """Tell, once for each time, that what was sent is to be sent again."""
        now = self._clock()
        if not self.sent or now - self._progress_at < self._backoff_s:
            return False
        self._progress_at = now
        self._backoff_s = min(2 * self._backoff_s, _LONGEST_BACKOFF_S)
        self.oldest_first = not self.oldest_first
        self._forget_sent()
        return True

    def may_send(self) -> bool:
        """Tell whether rate and window have room; while nobody answers the window is one segment."""
        now = self._clock()
        rate = self._settings.backlog_per_s
        self._tokens = min(max(rate / 4, SEGMENT_RECORDS), self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now
        waiting = self._backoff_s > self._settings.resend_s
        window = SEGMENT_RECORDS if waiting else self._settings.window
        return self._tokens > 0 and len(self._backlog_sent) < window

    def sending(self, numbers: list[Range]) -> None:
        """These leave now, from the backlog."""
        for first, last in numbers:
            self.sending_live(first, last)
            self._backlog_sent.add(first, last)
            self._tokens -= last - first + 1

    def sending_live(self, first: int, last: int) -> None:
        """These leave now."""
        if not self.sent:
            # Nobody owed an answer until now.
            self._progress_at = self._clock()
        self.sent.add(first, last)

    def _forget_sent(self) -> None:
        self.sent.clear()
        self._backlog_sent.clear()


def next_piece(
    store: Store, due: NumberRanges, *, below: int, oldest_first: bool, allowed: Callable[[ReportKind], bool]
) -> Piece | None:
    """Return what to send next.

    Args:
        due: numbers that are kept and were not sent; what is acknowledged may be in the database for a while yet.
        below: single reports from this number on are live, and not the backlog's.
    """
    pieces = []
    for kind in KINDS:
        if not allowed(kind):
            continue
        found = (place(store, kind, due, below, oldest_first) for place in (_single, _stored))
        pieces += [piece for piece in found if piece is not None]
        if pieces and kind is ReportKind.EVENT:
            break
    # Results and telemetry by number, not by kind: what has arrived is then few ranges, which an acknowledgement can name.
    if oldest_first:
        return min(pieces, key=lambda piece: piece.numbers[0][0], default=None)
    return max(pieces, key=lambda piece: piece.numbers[-1][1], default=None)


def _single(store: Store, kind: ReportKind, due: NumberRanges, below: int, oldest_first: bool) -> Piece | None:
    bound, found = below, list[StoredReport]()
    # What was sent lies at the new end, so that the search goes on below it.
    while len(found) < SEGMENT_RECORDS:
        rows = store.rows(kind, 4 * SEGMENT_RECORDS, below=bound, newest_first=True)
        found += [row for row in rows if row.seq in due]
        if len(rows) < 4 * SEGMENT_RECORDS:
            break
        bound = rows[-1].seq
    chosen = found[-SEGMENT_RECORDS:] if oldest_first else found[:SEGMENT_RECORDS]
    return Piece(kind, None, tuple(chosen)) if chosen else None


def _stored(store: Store, kind: ReportKind, due: NumberRanges, _below: int, oldest_first: bool) -> Piece | None:
    ranges = list(due)
    if not ranges:
        return None
    for segment in store.segments(kind, newest_first=not oldest_first, within=(ranges[0][0], ranges[-1][1])):
        if any(due.within(first, last) for first, last in segment.members):
            return Piece(kind, segment)
    return None
