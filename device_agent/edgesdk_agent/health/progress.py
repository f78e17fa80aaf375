"""How long ago something advanced, told from counts that only grow: nothing in the pipeline is slowed for it."""

from __future__ import annotations


class Advance:
    """Since when a count stands still.

    Args:
        now: seconds of the monotonic clock; the count is 0 then.
    """

    __slots__ = ("_at", "_count")

    def __init__(self, now: float) -> None:
        self._count = 0
        self._at = now

    @property
    def count(self) -> int:
        """The count when it was last seen."""
        return self._count

    def seen(self, count: int, now: float) -> float:
        """Note the count, and return for how many seconds it has not changed."""
        if count != self._count:
            self._count, self._at = count, now
        return now - self._at
