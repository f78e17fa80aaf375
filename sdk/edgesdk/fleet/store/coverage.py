"""Which numbers of one epoch are settled: stored, or declared lost by the device; in whatever order they came.

All that a collector must remember of a device to tell it what may be deleted. A value: whoever holds one can show it to
another thread.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Range = tuple[int, int]

# Islands that are remembered. Beyond, the highest are forgotten: their records stay stored, and are settled when the
# device sends them again. So a device that skips every other number costs a bounded amount of memory.
MAX_ISLANDS = 1000


@dataclass(frozen=True, slots=True)
class Coverage:
    """A set of numbers, counted from 1.

    Attributes:
        upto: all numbers from 1 to here are in the set.
        ahead: further ranges `(first, last)` above, ascending, both ends included, none touching another.
    """

    upto: int = 0
    ahead: tuple[Range, ...] = ()

    def __contains__(self, seq: int) -> bool:
        if seq <= self.upto:
            return seq >= 1
        index = bisect_right(self.ahead, seq, key=lambda island: island[0]) - 1
        return index >= 0 and seq <= self.ahead[index][1]

    @property
    def highest(self) -> int:
        """The highest number of the set; 0 while it is empty."""
        return self.ahead[-1][1] if self.ahead else self.upto

    def may_have_forgotten(self, seq: int) -> bool:
        """Tell whether a number that is not in the set may have been in it, above the islands that are remembered."""
        return len(self.ahead) >= MAX_ISLANDS and seq > self.highest

    def settle(self, ranges: Sequence[Range], *, max_islands: int = MAX_ISLANDS) -> Coverage:
        """Return the set with further ranges, in any order and overlapping as they like."""
        # Of most devices nothing is missing, and what comes is the next number.
        if not self.ahead and len(ranges) == 1 and ranges[0][0] == self.upto + 1:
            return Coverage(ranges[0][1])
        upto = self.upto
        islands: list[Range] = []
        for first, last in sorted([*self.ahead, *ranges]):
            if first <= upto + 1:
                upto = max(upto, last)
            elif islands and first <= islands[-1][1] + 1:
                islands[-1] = (islands[-1][0], max(islands[-1][1], last))
            else:
                islands.append((first, last))
        return Coverage(upto, tuple(islands[:max_islands]))

    def holes(self) -> tuple[Range, ...]:
        """Return the ranges that are missing below the highest number, the lowest first."""
        holes = []
        below = self.upto
        for first, last in self.ahead:
            holes.append((below + 1, first - 1))
            below = last
        return tuple(holes)

    @property
    def count(self) -> int:
        """How many numbers are in the set."""
        if not self.ahead:
            return self.upto
        return self.upto + sum(last - first + 1 for first, last in self.ahead)


def ranges_of(seqs: Iterable[int]) -> list[Range]:
    """Return numbers as ascending ranges."""
    seqs = list(seqs)
    if len(seqs) == 1:
        return [(seqs[0], seqs[0])]
    ranges: list[Range] = []
    for seq in sorted(seqs):
        if ranges and seq <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], seq)
        else:
            ranges.append((seq, seq))
    return ranges
