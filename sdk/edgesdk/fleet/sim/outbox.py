"""What a simulated device has said and nobody has told it is stored: kept, sent again, declared as gone when it is too much.

Of a report only what it was made of is kept: it is written anew when it is sent again, word for word the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

Range = tuple[int, int]

MAX_KEPT = 7200
STALL_S = 2.0
STALL_LIMIT_S = 60.0
# Ranges in one gap.
MAX_GONE = 500


@dataclass(frozen=True, slots=True)
class Gone:
    """Numbers from `first` to `last` that will never come, and how many reports of each kind they were."""

    first: int
    last: int
    reports: dict[str, int]

    def and_then(self, seq: int, kind: str) -> Gone:
        """Return the same with the next number."""
        return Gone(self.first, seq, {**self.reports, kind: self.reports.get(kind, 0) + 1})


class Kind(Enum):
    """What a report is; the value is the word of the wire for reports of the kind."""

    RESULT = "result"
    TELEMETRY = "telemetry"
    EVENT = "event"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Kept:
    """One report.

    Attributes:
        at_ms: when it was made, by the device's clock.
        made: monotonic seconds.
        turn: which of the answers, or what random numbers, it was made of.
        gone: of a gap, the numbers that it declares as gone.
    """

    seq: int
    kind: Kind
    at_ms: int
    made: float
    turn: int = 0
    gone: tuple[Gone, ...] = ()


class Outbox:
    """The reports of one device, in memory.

    Args:
        max_kept: beyond it the oldest go, and are declared.
    """

    def __init__(self, max_kept: int = MAX_KEPT) -> None:
        self._max_kept = max_kept
        self._kept: dict[int, Kept] = {}
        self._to_send: deque[int] = deque()
        self._waiting: set[int] = set()
        self._progress_at = 0.0
        self._patience_s = STALL_S
        # The number of a gap that has never left; 0: there is none.
        self._open_gap = 0
        self.next_seq = 1

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, kind: Kind, at_ms: int, made: float, turn: int = 0) -> Kept | None:
        """Keep a new report; return what had to go for it, if anything: somebody must `declare` that."""
        if not self._kept:
            self._progress_at = made
        self._add(Kept(self.next_seq, kind, at_ms, made, turn))
        if len(self._kept) <= self._max_kept:
            return None
        oldest = next((one for one in self._kept.values() if one.kind is not Kind.GAP), None)
        return None if oldest is None else self._kept.pop(oldest.seq)

    def declare(self, lost: Kept, at_ms: int, made: float) -> None:
        """Tell that a report will never come; a gap that has never left tells of this one too."""
        kind = lost.kind.value
        told = self._kept.get(self._open_gap)
        if told is None or len(told.gone) >= MAX_GONE:
            self._open_gap = self.next_seq
            self._add(Kept(self.next_seq, Kind.GAP, at_ms, made, gone=(Gone(lost.seq, lost.seq, {kind: 1}),)))
            return
        *before, last = told.gone
        if lost.seq == last.last + 1:
            gone = (*before, last.and_then(lost.seq, kind))
        else:
            gone = (*told.gone, Gone(lost.seq, lost.seq, {kind: 1}))
        self._kept[told.seq] = Kept(told.seq, Kind.GAP, at_ms, told.made, gone=gone)

    def take(self) -> Kept | None:
        """Return the next report to send."""
        while self._to_send:
            seq = self._to_send.popleft()
            self._waiting.discard(seq)
            if (kept := self._kept.get(seq)) is not None:
                if seq == self._open_gap:
                    self._open_gap = 0
                return kept
        return None

    def put_back(self, kept: Kept) -> None:
        """Send a report that was taken before the others."""
        if kept.seq in self._kept and kept.seq not in self._waiting:
            self._to_send.appendleft(kept.seq)
            self._waiting.add(kept.seq)

    def settled(self, upto: int, have: Iterable[Range], now: float) -> Iterator[Kept]:
        """Forget what is stored, and give each report that was kept until now.

        What is told of numbers that were never given is not for us.
        """
        ranges = [(first, last) for first, last in have if first <= last]
        if max([upto, *(last for _, last in ranges)]) >= self.next_seq:
            return
        found = []
        for seq in self._kept:
            if seq > upto:
                break
            found.append(seq)
        for first, last in ranges:
            found += [seq for seq in self._within(first, last) if seq > upto]
        if found:
            self._progress_at, self._patience_s = now, STALL_S
        for seq in found:
            yield self._kept.pop(seq)

    def again(self, wanted: Iterable[Range]) -> None:
        """Send what is asked for before anything else."""
        for seq in sorted({seq for first, last in wanted for seq in self._within(first, last)}, reverse=True):
            if seq not in self._waiting:
                self._to_send.appendleft(seq)
                self._waiting.add(seq)

    def all_again(self) -> int:
        """Send everything that is kept, from the oldest on: on a new connection; return how many reports that are."""
        self._to_send = deque(self._kept)
        self._waiting = set(self._kept)
        return len(self._kept)

    def stalled(self, now: float) -> bool:
        """Tell, once each time, that nothing was told as stored for so long that it is all to be sent again."""
        if not self._kept or self._to_send or now - self._progress_at < self._patience_s:
            return False
        self._progress_at, self._patience_s = now, min(2 * self._patience_s, STALL_LIMIT_S)
        return True

    def _add(self, kept: Kept) -> None:
        self._kept[kept.seq] = kept
        self._to_send.append(kept.seq)
        self._waiting.add(kept.seq)
        self.next_seq = kept.seq + 1

    def _within(self, first: int, last: int) -> list[int]:
        if last - first > len(self._kept):
            return [seq for seq in self._kept if first <= seq <= last]
        return [seq for seq in range(first, last + 1) if seq in self._kept]
