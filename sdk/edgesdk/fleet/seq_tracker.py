"""Which sequence numbers of one epoch came, and which did not; in bounded memory, whatever is sent."""

from __future__ import annotations

# Numbers that came after a missing one. With more than this many, what is missing among the older half is lost.
_MAX_AHEAD = 4096


class SeqTracker:
    """Counts what is new, what came twice, and what is missing, from the first number that is seen."""

    def __init__(self) -> None:
        self.duplicates = 0
        self._given_up = 0
        # All numbers up to here came or were given up; None before an ordered one was seen.
        self._upto: int | None = None
        self._ahead: set[int] = set()

    @property
    def missing(self) -> int:
        """Numbers between those that came."""
        if self._upto is None or not self._ahead:
            return self._given_up
        return self._given_up + max(self._ahead) - self._upto - len(self._ahead)

    def see(self, seq: int, *, in_order: bool) -> bool:
        """Note one number; True if it is new.

        Args:
            seq: the number.
            in_order: events overtake other messages, so what precedes the first event may still come.
        """
        if seq in self._ahead or (self._upto is not None and seq <= self._upto):
            self.duplicates += 1
            return False
        if self._upto is None and in_order:
            self._upto = seq - 1
            self._ahead = {n for n in self._ahead if n > seq}
        self._ahead.add(seq)
        self._advance()
        return True

    def _advance(self) -> None:
        if len(self._ahead) > _MAX_AHEAD:
            self._give_up()
        if self._upto is None:
            return
        while self._upto + 1 in self._ahead:
            self._upto += 1
            self._ahead.remove(self._upto)

    def _give_up(self) -> None:
        # Half at once: to look for the smallest each time would cost more than all the rest.
        older = sorted(self._ahead)[: _MAX_AHEAD // 2]
        self._ahead.difference_update(older)
        if self._upto is not None:
            self._given_up += older[-1] - self._upto - len(older)
            self._upto = older[-1]
