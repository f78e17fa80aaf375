"""The gap ledger: numbers that are gone, why, and how many reports they were, until a collector has been told.

Ranges of one cause that touch become one, so its length is bounded by what is kept. A range that was put into a report stays as it
is, so that nothing is told twice with other bounds, and leaves the ledger when the collector has that report.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.number_ranges import NumberRanges, Range
from edgesdk_targets.messages import Gap, GapCause, GapRange

# Some 7 kB: a report of a gap must be small beside the outbox that has run out of room.
_TOLD_AT_ONCE = 100


class GapLedger:
    """What is gone, lowest first; `changed` and `removed` are what its copy on disk does not know yet."""

    def __init__(self, gaps: Iterable[tuple[GapRange, int]] = ()) -> None:
        """Begin with ranges, each with the number of the report that tells it, 0 where none does."""
        ordered = sorted(gaps, key=lambda told: told[0].first)
        self._gaps = [gap for gap, _ in ordered]
        self._firsts = [gap.first for gap in self._gaps]
        self._told_by = {gap.first: seq for gap, seq in ordered if seq}
        self.changed: dict[int, GapRange] = {}
        self.removed: set[int] = set()

    def __len__(self) -> int:
        return len(self._gaps)

    @property
    def gaps(self) -> tuple[GapRange, ...]:
        return tuple(self._gaps)

    @property
    def tellers(self) -> frozenset[int]:
        """Numbers of the reports that tell what is in it."""
        return frozenset(self._told_by.values())

    def told_by(self, first: int) -> int:
        """Return the number of the report that tells the range which begins there, 0 where none does."""
        return self._told_by.get(first, 0)

    @property
    def numbers(self) -> NumberRanges:
        """Every number in it."""
        return NumberRanges((gap.first, gap.last) for gap in self._gaps)

    def copy(self) -> GapLedger:
        """Return a ledger to try changes on, with nothing to write yet but what this one has."""
        other = GapLedger()
        other._gaps, other._firsts, other._told_by = list(self._gaps), list(self._firsts), dict(self._told_by)
        other.changed, other.removed = dict(self.changed), set(self.removed)
        return other

    def add(self, ranges: Iterable[Range], cause: GapCause, kind: ReportKind | None = None) -> None:
        """Note numbers as gone, all reports of one kind, or of none that is known."""
        for first, last in ranges:
            counts = {} if kind is None else {kind.value: last - first + 1}
            self._add(GapRange.model_validate({"first": first, "last": last, "cause": cause, "reports": counts}))

    def to_tell(self) -> Gap | None:
        """Return what to tell next; None where all is told."""
        if len(self._told_by) == len(self._gaps):
            return None
        ranges = [gap for gap in self._gaps if gap.first not in self._told_by][:_TOLD_AT_ONCE]
        return Gap.of(ranges)

    def tell(self, seq: int, gap: Gap) -> None:
        """Note that report `seq` tells this."""
        for part in gap.ranges:
            self._told_by[part.first] = seq
            self.changed[part.first] = part

    def settled(self, teller: int) -> None:
        """Forget what a report told: the collector has it."""
        for first in [first for first, seq in self._told_by.items() if seq == teller]:
            self._remove(first)

    def untell(self, teller: int) -> None:
        """Tell again what a report was to tell: it is gone itself."""
        for first in [first for first, seq in self._told_by.items() if seq == teller]:
            del self._told_by[first]
            self.changed[first] = self._gaps[bisect_left(self._firsts, first)]

    def unsaved(self) -> None:
        """Note that the disk knows nothing: it is a new one."""
        self.changed, self.removed = {gap.first: gap for gap in self._gaps}, set()

    def saved(self) -> None:
        """Note that the disk knows all."""
        self.changed, self.removed = {}, set()

    def _add(self, gap: GapRange) -> None:
        at = bisect_left(self._firsts, gap.first)
        # What is being told must not change under way: its neighbours wait beside it.
        if at < len(self._gaps) and self._joins(gap, self._gaps[at]):
            gap = _joined(gap, self._gaps[at])
            self._remove(self._firsts[at])
        if at and self._joins(self._gaps[at - 1], gap):
            gap = _joined(self._gaps[at - 1], gap)
            self._remove(self._firsts[at - 1])
            at -= 1
        self._gaps.insert(at, gap)
        self._firsts.insert(at, gap.first)
        self.changed[gap.first] = gap
        self.removed.discard(gap.first)

    def _joins(self, lower: GapRange, higher: GapRange) -> bool:
        fixed = lower.first in self._told_by or higher.first in self._told_by
        return not fixed and lower.last + 1 == higher.first and lower.cause is higher.cause

    def _remove(self, first: int) -> None:
        at = bisect_left(self._firsts, first)
        if at < len(self._firsts) and self._firsts[at] == first:
            del self._gaps[at], self._firsts[at]
            self._told_by.pop(first, None)
            self.changed.pop(first, None)
            self.removed.add(first)


def _joined(lower: GapRange, higher: GapRange) -> GapRange:
    reports = dict(Counter(lower.reports) + Counter(higher.reports))
    return GapRange.model_construct(first=lower.first, last=higher.last, cause=lower.cause, reports=reports)
