"""Gathers what was read into groups and commits each on a thread of its own.

A commit costs a sync of the disk, whether it holds one row or five hundred. A group is closed at 500 rows, after
100 ms, or when so many messages wait that the broker may be waiting for us: some brokers send twenty, and no more before
they are acknowledged. While the disk syncs, the next group gathers.

A disk that is full, or a file that somebody locks, is waited for: nothing is acknowledged meanwhile, so the broker
stops sending, and devices keep what they have.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

from edgesdk.fleet.record.batch import Reading
from edgesdk.fleet.record.store import Committed, Store

log = logging.getLogger(__name__)

MAX_ROWS = 500
MAX_WAIT_S = 0.1
_WINDOW_MESSAGES = 20
_QUIET_S = 0.005
# Beyond this, whoever brings more waits: what was read must fit into memory while the disk is slow.
_MAX_WAITING_BYTES = 64 << 20
_RETRY_FIRST_S = 0.2
_RETRY_LIMIT_S = 5.0


@dataclass(slots=True)
class _Group:
    """What is committed together."""

    done: asyncio.Future[None]
    began: float
    reading: Reading = field(default_factory=Reading)
    messages: int = 0
    size_bytes: int = 0


class BatchWriter:
    """Commits readings in groups; all methods are for the event loop's thread.

    Args:
        store: is used by the writer's thread alone from now on.
        on_commit: is told what each commit did, after those who wait for it.
    """

    def __init__(self, store: Store, on_commit: Callable[[Committed], None]) -> None:
        self._store = store
        self._on_commit = on_commit
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="edgesdk-record")
        self._groups: deque[_Group] = deque()
        self._committing: _Group | None = None
        self._waiting_bytes = 0
        self._draining = False
        self._filled = asyncio.Event()
        self._hurry = asyncio.Event()
        self._committed = asyncio.Condition()
        # Why the last attempt to commit failed, in words; empty while all is well.
        self.problem = ""

    @property
    def waiting(self) -> int:
        """Messages that are not committed yet."""
        return sum(group.messages for group in self._groups) + (self._committing.messages if self._committing else 0)

    def put(self, reading: Reading) -> asyncio.Future[None]:
        """Add what one message became to the present group; done when it is committed."""
        group = self._groups[-1] if self._groups else None
        if group is None or group.reading.rows >= MAX_ROWS:
            group = _Group(self._loop.create_future(), self._loop.time())
            self._groups.append(group)
            self._filled.set()
        group.reading.add(reading)
        group.messages += 1
        group.size_bytes += reading.size_bytes
        self._waiting_bytes += reading.size_bytes
        if group.messages == _WINDOW_MESSAGES or group.reading.rows >= MAX_ROWS:
            self._hurry.set()
        return group.done

    async def room(self) -> None:
        """Wait until what waits for the disk leaves room for more."""
        if self._waiting_bytes >= _MAX_WAITING_BYTES:
            async with self._committed:
                await self._committed.wait_for(lambda: self._waiting_bytes < _MAX_WAITING_BYTES)

    async def run(self) -> None:
        """Commit group after group, as long as it is not cancelled.

        Raises:
            sqlite3.Error: the file is damaged, or is none of ours any more.
        """
        while True:
            await self._filled.wait()
            await self._gather(self._groups[0])
            group = self._committing = self._groups.popleft()
            if not self._groups:
                self._filled.clear()
            committed = await self._commit(group.reading)
            group.done.set_result(None)
            self._on_commit(committed)
            async with self._committed:
                self._committing = None
                self._waiting_bytes -= group.size_bytes
                self._committed.notify_all()

    async def drain(self, timeout_s: float) -> bool:
        """Commit what was put, without waiting for more; False when the time is up first."""
        self._draining = True
        self._hurry.set()
        try:
            async with self._committed:
                await asyncio.wait_for(self._committed.wait_for(lambda: not self.waiting), timeout_s)
        except asyncio.TimeoutError:
            return False
        finally:
            self._draining = False
        return True

    def abandon(self) -> None:
        """Let go of whoever waits for a commit that will not come; to be called when nobody hears an acknowledgement."""
        for group in (*self._groups, *filter(None, [self._committing])):
            if not group.done.done():
                group.done.set_result(None)
        self._groups.clear()

    def close(self) -> None:
        """End the thread; a commit that is under way is finished."""
        self._thread.shutdown()

    async def _gather(self, group: _Group) -> None:
        """Return when the group is to be committed."""
        end = group.began + MAX_WAIT_S
        while not self._draining and group.reading.rows < MAX_ROWS:
            left = end - self._loop.time()
            if left <= 0:
                return
            before = group.messages
            full = before >= _WINDOW_MESSAGES
            self._hurry.clear()
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), min(left, _QUIET_S) if full else left)
            if full and group.messages == before:
                return

    async def _commit(self, reading: Reading) -> Committed:
        delay_s = _RETRY_FIRST_S
        while True:
            try:
                committed = await self._loop.run_in_executor(self._thread, self._store.commit, reading)
            except sqlite3.OperationalError as error:
                if str(error) != self.problem:
                    log.warning("%s: %s. Nothing is acknowledged until it is written.", self._store.path, error)
                self.problem = str(error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RETRY_LIMIT_S)
            else:
                self.problem = ""
                return committed
