"""What a disk that could not be opened at the start held of an earlier epoch: an outbox of its own, which only empties.

Numbers count within an epoch, so its reports keep theirs. At the link they must not be taken for the new epoch's: there they
are so much higher, or lower where they name a segment.
"""

from __future__ import annotations

import contextlib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from edgesdk_agent.link.report_queue import QueueCounts, QueuedReport
from edgesdk_agent.outbox.opening import recent_path
from edgesdk_agent.outbox.recent_file import remove_recent

_APART = 1 << 62


class Emptying(Protocol):
    """What the link asks of an outbox, and its end."""

    def take(self, count: int) -> tuple[QueuedReport, ...]: ...
    def done(self, seq: int) -> None: ...
    def refuse(self, seq: int) -> None: ...
    def close(self) -> None: ...


Box = TypeVar("Box", bound=Emptying)


class Earlier(Generic[Box]):
    """An outbox of an earlier epoch, as the one of this epoch passes calls on to it."""

    def __init__(self, box: Box, path: Path) -> None:
        self.box = box
        self._path = path

    def owns(self, seq: int) -> bool:
        """Tell whether a number at the link is one of its."""
        return abs(seq) >= _APART

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        return tuple(replace(r, seq=r.seq + (_APART if r.seq > 0 else -_APART)) for r in self.box.take(count))

    def done(self, seq: int) -> None:
        self.box.done(_own(seq))

    def refuse(self, seq: int) -> None:
        self.box.refuse(_own(seq))

    def remove(self) -> None:
        """Close it and remove its files: a collector has all of it."""
        self.box.close()
        for end in ("", "-wal", "-shm", ".room"):
            with contextlib.suppress(OSError):
                self._path.with_name(self._path.name + end).unlink()
        remove_recent(recent_path(self._path))


def together(one: QueueCounts, other: QueueCounts) -> QueueCounts:
    """Add what became of the reports of two queues."""
    added: dict[str, Any] = {}
    for entry in fields(QueueCounts):
        mine, theirs = getattr(one, entry.name), getattr(other, entry.name)
        added[entry.name] = mine + theirs if isinstance(mine, int) else {k: n + theirs[k] for k, n in mine.items()}
    return QueueCounts(**added)


def _own(seq: int) -> int:
    return seq - _APART if seq > 0 else seq + _APART
