"""What a disk that could not be opened at the start held of an earlier epoch: an outbox of its own, which only empties.

Numbers count within an epoch, so its reports keep theirs. At the link they must not be taken for the new epoch's: there they
are so much higher, or lower where they name a segment.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesdk_agent.link.report_queue import QueueCounts, QueuedReport
from edgesdk_agent.outbox.database import StoreUnavailable
from edgesdk_agent.outbox.opening import recent_path
from edgesdk_agent.outbox.recent_file import remove_recent
from edgesdk_agent.outbox.store import Store

if TYPE_CHECKING:
    from edgesdk_agent.outbox.outbox import Outbox

_APART = 1 << 62


def earlier_path(path: Path) -> Path:
    return path.with_name(path.name + ".earlier")


def put_aside(path: Path, store: Store, last: int) -> None:
    """Close a database well, and move it out of the way of a new one.

    Args:
        last: the highest number that it has seen.

    Raises:
        StoreUnavailable: its log could not be written back; nothing was moved.
    """
    try:
        with store.transaction():
            store.set_meta({"ceiling": last, "written_upto": last, "clean": 1})
    finally:
        store.close()
    if path.with_name(path.name + "-wal").exists():
        raise StoreUnavailable("its log cannot be written back")
    path.replace(earlier_path(path))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        # The new file must not become durable before the old one's new name.
        os.fsync(folder)
    finally:
        os.close(folder)


class Earlier:
    """An outbox of an earlier epoch, as the one of this epoch passes calls on to it."""

    def __init__(self, box: Outbox, path: Path) -> None:
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
