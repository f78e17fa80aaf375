"""Sets of sequence numbers as sorted ranges: a week of numbers in a row is one range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class NumberRanges:
    """A mutable set of numbers; every range is `(first, last)`, both included."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._total = 0
        for first, last in ranges:
            self.add(first, last)

    def __len__(self) -> int:
        """Count the numbers, not the ranges."""
        return self._total

    def __iter__(self) -> Iterator[Range]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))

    def __contains__(self, number: int) -> bool:
        at = bisect_left(self._lasts, number)
        return at < len(self._lasts) and self._firsts[at] <= number

    def add(self, first: int, last: int) -> None:
        """Put numbers in; those that are there already stay."""
        if self._lasts and first == self._lasts[-1] + 1:
            # As nearly always: the next number.
            self._lasts[-1] = last
            self._total += last - first + 1
            return
        # Ranges from `start` to before `end` overlap or touch the new one, and become one with it.
        start = bisect_left(self._lasts, first - 1)
        end = start
        while end < len(self._firsts) and self._firsts[end] <= last + 1:
            self._total -= self._lasts[end] - self._firsts[end] + 1
            first, last = min(first, self._firsts[end]), max(last, self._lasts[end])
            end += 1
        self._firsts[start:end] = [first]
        self._lasts[start:end] = [last]
        self._total += last - first + 1

    def remove(self, first: int, last: int) -> list[Range]:
        """Take numbers out; return those that were there."""
        start = bisect_left(self._lasts, first)
        end, removed, left = start, [], []
        while end < len(self._firsts) and self._firsts[end] <= last:
            a, b = self._firsts[end], self._lasts[end]
            removed.append((max(a, first), min(b, last)))
            left += [(x, y) for x, y in ((a, first - 1), (last + 1, b)) if x <= y]
            end += 1
        self._firsts[start:end] = [a for a, _ in left]
        self._lasts[start:end] = [b for _, b in left]
        self._total -= sum(b - a + 1 for a, b in removed)
        return removed

    def within(self, first: int, last: int) -> list[Range]:
        """Return the numbers that lie between, as ranges."""
        at, found = bisect_left(self._lasts, first), []
        while at < len(self._firsts) and self._firsts[at] <= last:
            found.append((max(self._firsts[at], first), min(self._lasts[at], last)))
            at += 1
        return found

    def absent(self, first: int, last: int) -> list[Range]:
        """Return the numbers between that are not there, as ranges."""
        holes, start = [], first
        for a, b in self.within(first, last):
            if start < a:
                holes.append((start, a - 1))
            start = b + 1
        return holes + ([(start, last)] if start <= last else [])

    def without(self, other: NumberRanges) -> NumberRanges:
        """Return what is here and not there."""
        return NumberRanges(hole for first, last in self for hole in other.absent(first, last))

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


def as_ranges(numbers: Iterable[int]) -> list[Range]:
    """Return rising numbers as ranges."""
    ranges: list[Range] = []
    for number in numbers:
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def ranges_to_text(ranges: Iterable[Range]) -> str:
    """Write rising ranges: of each how far it lies above the one before, and how many numbers more than one it has."""
    parts, end = [], 0
    for first, last in ranges:
        parts.append(f"{first - end}+{last - first}" if last > first else f"{first - end}")
        end = last
    return " ".join(parts)


def ranges_from_text(text: str) -> Iterator[Range]:
    """Read what `ranges_to_text` wrote.

    Raises:
        ValueError: it is something else.
    """
    end = 0
    for part in text.split():
        gap, _, more = part.partition("+")
        first = end + int(gap)
        end = first + int(more or 0)
        yield first, end
