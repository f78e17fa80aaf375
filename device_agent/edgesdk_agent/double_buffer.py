"""Preallocated cells that change places between one writer and one reader.

The writer fills a back cell while the reader holds the front one; they change places under one lock, and nothing is
copied or allocated. Who waits, and what is lost, is the policy:

- `replace=False` (every frame): cells are read in the order they were written, and a writer without a free cell waits.
- `replace=True` (freshest): only the newest written cell is ever ready. A newer one takes its place, and the one that
  was never read counts as dropped. The writer waits only if the reader holds every cell.

With two cells this is the plain double buffer. A replacing buffer wants three, one being written, one ready, one being
read: a *mailbox*. With two, the writer can only refill the cell that was ready, and a reader that comes meanwhile
waits until it is full again, which behind a camera is a whole frame period.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeVar

from edgesdk_targets.errors import InputError

T = TypeVar("T")
Drop = Literal["replaced", "stopped"]


class DoubleBuffer(Generic[T]):
    """Hand preallocated cells from one writer thread to one reader thread and back.

    The writer calls `acquire`, then `publish` or `abandon`; the reader calls `take`, then `release`, which may also
    be called by a third thread.

    Args:
        cells: what is handed over; each is with one side at a time.
        replace: the policy, as above.
        on_drop: is told each cell whose content nobody read, and why, outside the lock.

    Raises:
        InputError: there are no cells.
    """

    def __init__(self, cells: Sequence[T], *, replace: bool, on_drop: Callable[[T, Drop], None] | None = None) -> None:
        if not cells:
            raise InputError("A buffer needs at least one cell.", hint="Give two for overlap, three for a mailbox.")
        self._replace = replace
        self._on_drop = on_drop
        self._size = len(cells)
        # The cell that came back last is taken first: its memory is still in the cache.
        self._free = list(reversed(cells))
        self._ready: deque[T] = deque()
        self._writing = 0
        self._closed = False
        self._aborted = False
        self._lock = threading.Lock()
        self._readable = threading.Condition(self._lock)
        self._writable = threading.Condition(self._lock)
        self._idle = threading.Condition(self._lock)

    def acquire(self) -> T | None:
        """Return a cell to fill, waiting for one if need be; None once the buffer is closed."""
        with self._lock:
            while not self._closed:
                if self._free:
                    self._writing += 1
                    return self._free.pop()
                if self._replace and self._ready:
                    cell = self._ready.popleft()
                    self._writing += 1
                    break
                self._writable.wait()
            else:
                return None
        self._dropped(cell, "replaced")
        return cell

    def publish(self, cell: T) -> None:
        """Make a filled cell ready for the reader; after `abort` it is dropped instead."""
        dropped: T | None = None
        with self._lock:
            self._writing -= 1
            if self._aborted:
                dropped = cell
            else:
                if self._replace and self._ready:
                    dropped = self._ready.popleft()
                self._ready.append(cell)
                self._readable.notify()
            if dropped is not None:
                self._give_back(dropped)
        if dropped is not None:
            self._dropped(dropped, "stopped" if dropped is cell else "replaced")

    def abandon(self, cell: T) -> None:
        """Give back an acquired cell without content."""
        with self._lock:
            self._writing -= 1
            self._give_back(cell)
            self._readable.notify()

    def take(self) -> T | None:
        """Return the next ready cell, waiting for it; None when the buffer is closed and nothing will come."""
        with self._lock:
            while not self._ready:
                if self._aborted or (self._closed and not self._writing):
                    return None
                self._readable.wait()
            return self._ready.popleft()

    def release(self, cell: T) -> None:
        """Give back a cell that was taken."""
        with self._lock:
            self._give_back(cell)

    def close(self) -> None:
        """Let no cell be acquired any more; what is ready or being written can still be read."""
        with self._lock:
            self._close()

    def abort(self) -> None:
        """Close, and drop what is ready or still being written."""
        with self._lock:
            self._aborted = True
            dropped = list(self._ready)
            self._ready.clear()
            for cell in dropped:
                self._give_back(cell)
            self._close()
        for cell in dropped:
            self._dropped(cell, "stopped")

    def wait_idle(self, timeout_s: float | None) -> bool:
        """Wait until every cell came back, and say whether it did within the time."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with self._lock:
            while len(self._free) < self._size:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._idle.wait(left)
        return True

    def _close(self) -> None:
        self._closed = True
        self._readable.notify_all()
        self._writable.notify_all()

    def _give_back(self, cell: T) -> None:
        self._free.append(cell)
        self._writable.notify()
        if self._closed and len(self._free) == self._size:
            self._idle.notify_all()

    def _dropped(self, cell: T, why: Drop) -> None:
        if self._on_drop is not None:
            self._on_drop(cell, why)
