"""Gathers what was read into groups and commits each on a thread of its own.

A commit costs a sync of the disk and a dozen statements, whether it holds one row or two thousand. It begins when 500
rows wait, after 100 ms, or when so many messages wait that the broker may be waiting for us: some brokers send twenty,
and no more before they are acknowledged. While the disk syncs, the next group gathers; the longer that takes, the more
it holds and the less each of it costs, so who falls behind becomes quicker. A group that is full is closed: the thread goes on
with it by itself, as a loop that reads as fast as it can comes to tell it to only after a while.

A disk that is full, or a file that somebody locks, is waited for: nothing is acknowledged meanwhile, so the broker
stops sending, and devices keep what they have. A group that cannot be written for what is in it is parted until the one
report is found that is to blame; that goes into quarantine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from sys import getsizeof

from edgesdk.fleet.collect.isolation import halves, refused
from edgesdk.fleet.store.batch import Reading, Record, Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.failures import StoreBusy, StoreFailed, Unstorable
from edgesdk.fleet.store.ingest import Committed, Ingest

log = logging.getLogger(__name__)

ENOUGH_ROWS = 500
MAX_ROWS = 8000
MAX_WAIT_S = 0.1
# Then the thread looks up for somebody what is settled, if that is asked for.
_GROUPS_AT_ONCE = 8
_WINDOW_MESSAGES = 20
_QUIET_S = 0.005
# Beyond this nothing more is read: what was must fit into memory while the disk is slow. Of each message its text counts, and what
# Python has around a record, which may be more than that.
_MAX_WAITING_BYTES = 64 << 20
_MESSAGE_BYTES = 1024
_RETRY_FIRST_S = 0.2
_IDLE_S = 1.0
_RETRY_LIMIT_S = 5.0


@dataclass(slots=True, eq=False)
class _Group:
    """What is committed together."""

    done: asyncio.Future[None]
    began: float
    reading: Reading = field(default_factory=Reading)
    rows: int = 0
    messages: int = 0
    size_bytes: int = 0
    received_ms: list[int] = field(default_factory=list)


class BatchWriter:
    """Commits readings in groups; all methods are for the event loop's thread.

    Args:
        store: is used by the writer's thread alone from now on.
        on_commit: is told what each commit did, after those who wait for it.
        on_lags: is told when what was committed had been received, and when it had been made, as far as it came live.
    """

    def __init__(
        self,
        store: Ingest,
        on_commit: Callable[[Committed], None],
        on_lags: Callable[[Iterable[int], Iterable[int]], None] | None = None,
    ) -> None:
        self._store = store
        self._on_commit = on_commit
        self._on_lags = on_lags
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="edgesdk-record")
        # What is gathered now; those that are full, the oldest first, from which the thread takes too; those that it has.
        self._open: _Group | None = None
        self._full: deque[_Group] = deque()
        self._committing: set[_Group] = set()
        # A group goes from the full ones to those that the thread has in one step, for whoever lets go of all of them.
        self._taking = threading.Lock()
        # What went wrong with whoever is told of commits; it ends `run`.
        self._untold: Exception | None = None
        # Messages that are not committed yet.
        self.waiting = 0
        self._waiting_bytes = 0
        self._draining = False
        self._filled = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Event()
        # Why the last attempt to commit failed, in words; empty while all is well.
        self.problem = ""

    def put(self, reading: Reading, received_ms: int = 0) -> asyncio.Future[None]:
        """Add what one message became to the present group; done when it is committed."""
        group = self._present()
        group.reading.add(reading)
        return self._counted(group, reading.rows, reading.size_bytes, received_ms)

    def put_record(self, record: Record, received_ms: int = 0) -> asyncio.Future[None]:
        """Add the one record that a message became, as `put` does, for less."""
        group = self._present()
        group.reading.records.append(record)
        return self._counted(group, 1, getsizeof(record.body), received_ms)

    def _present(self) -> _Group:
        group = self._open
        if group is None:
            group = self._open = _Group(self._loop.create_future(), self._loop.time())
            self._filled.set()
        return group

    def _counted(self, group: _Group, rows: int, size_bytes: int, received_ms: int) -> asyncio.Future[None]:
        size_bytes += _MESSAGE_BYTES
        group.rows += rows
        group.messages += 1
        group.received_ms.append(received_ms)
        group.size_bytes += size_bytes
        self.waiting += 1
        self._waiting_bytes += size_bytes
        if group.messages == _WINDOW_MESSAGES or group.rows >= ENOUGH_ROWS:
            self._hurry.set()
        if group.rows >= MAX_ROWS:
            self._open = None
            self._full.append(group)
        return group.done

    @property
    def has_room(self) -> bool:
        """Whether what waits for the disk leaves room for more."""
        return self._waiting_bytes < _MAX_WAITING_BYTES

    async def room(self) -> None:
        """Wait until there is room for more."""
        while not self.has_room:
            self._progress.clear()
            await self._progress.wait()

    async def run(self) -> None:
        """Commit group after group, as long as it is not cancelled.

        Raises:
            StoreFailed: the store is damaged, or is none of ours any more.
            Exception: what `on_commit` or `on_lags` raised.
        """
        while True:
            await self._wait_filled()
            group = await self._next()
            self._committing.add(group)
            failed = await self._loop.run_in_executor(self._thread, self._commit_groups, group)
            if failed is not None:
                group, error = failed
                if isinstance(error, StoreBusy):
                    self._tell(error)
                    self._settle(group, await self._commit(group.reading))
                else:
                    self._settle(group, await self._commit(group.reading, failed=error))
            if self._untold is not None:
                raise self._untold
            if self._open is None and not self._full:
                self._filled.clear()

    def _commit_groups(self, group: _Group) -> tuple[_Group, Exception] | None:
        """Commit a group and those after it that are full, on the thread; return what could not be written, and why."""
        for left in reversed(range(_GROUPS_AT_ONCE)):
            try:
                committed = self._store.commit(group.reading)
            except Exception as error:  # noqa: BLE001  (whatever it is, it is looked at where it can be waited for)
                return group, error
            self._loop.call_soon_threadsafe(self._settle, group, [committed])
            with self._taking:
                if not left or not self._full:
                    break
                group = self._full.popleft()
                self._committing.add(group)
        return None

    def _settle(self, group: _Group, done: Iterable[Committed]) -> None:
        """Tell whoever waits for a group that it is committed; then the others, whose errors are kept for `run`."""
        self._committing.discard(group)
        self.waiting -= group.messages
        self._waiting_bytes -= group.size_bytes
        self._progress.set()
        if not group.done.done():
            group.done.set_result(None)
        try:
            for committed in done:
                self._on_commit(committed)
            if self._on_lags is not None:
                self._on_lags(group.received_ms, [r.at_ms for r in group.reading.records if r.live])
        except Exception as error:  # noqa: BLE001  (of a callback it would be logged, and the next group begun)
            self._untold = error

    async def coverage(self, stream: Stream) -> Coverage:
        """Return what is settled of a stream, whoever stored it.

        Raises:
            StoreBusy: nobody can tell now.
        """
        return await self._loop.run_in_executor(self._thread, self._store.coverage, stream)

    async def drain(self, timeout_s: float) -> bool:
        """Commit what was put, without waiting for more; False when the time is up first."""
        self._draining = True
        self._hurry.set()
        try:
            await asyncio.wait_for(self._all_committed(), timeout_s)
        except asyncio.TimeoutError:
            return False
        finally:
            self._draining = False
        return True

    async def _all_committed(self) -> None:
        while self.waiting:
            self._progress.clear()
            await self._progress.wait()

    def abandon(self) -> None:
        """Let go of whoever waits for a commit that will not come; nobody gets an acknowledgement for it."""
        with self._taking:
            waiting = [*self._committing, *self._full, *filter(None, [self._open])]
            self._full.clear()
        self._open = None
        for group in waiting:
            group.done.cancel()

    def close(self) -> None:
        """End the thread; a commit that is under way is finished."""
        self._thread.shutdown()

    async def _wait_filled(self) -> None:
        """Return when there is a group; while nothing comes, what was gathered of how devices are is written."""
        while not self._filled.is_set():
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._filled.wait(), _IDLE_S if self._store.unwritten else None)
                return
            await self._write_now()

    async def _write_now(self) -> None:
        try:
            await self._loop.run_in_executor(self._thread, self._store.write_now)
        except StoreBusy:
            return
        except Unstorable as error:
            # What was gathered is forgotten with it, and comes again with each device's next word.
            log.error("How devices are could not be written: %s", error.message)  # noqa: TRY400  (told in words)

    async def _next(self) -> _Group:
        """Return what is to be committed, as soon as it is."""
        group = self._open
        if group is not None and not self._full:
            await self._gather(group)
        if self._full:
            return self._full.popleft()
        assert group is not None  # noqa: S101  (what is filled and not full is open)
        self._open = None
        return group

    async def _gather(self, group: _Group) -> None:
        """Return when the group is to be committed."""
        end = group.began + MAX_WAIT_S
        while not self._draining and group.rows < ENOUGH_ROWS:
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

    async def _commit(
        self, reading: Reading, *, doubting: bool = False, failed: Exception | None = None
    ) -> list[Committed]:
        """Commit a group, in parts where it cannot be written as a whole.

        Args:
            failed: why it could not be just now; it is not tried so again.

        Raises:
            StoreFailed: it is not for what is in it that it cannot be written.
        """
        try:
            if failed is not None:
                raise failed
            return [await self._written(reading, doubting=doubting)]
        except Unstorable as error:
            reason = error.message
        except (StoreFailed, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001  (one message must not stop the record of a fleet)
            reason = f"{type(error).__name__}: {error}"
        if not doubting:
            # Some of it may be stored already, and nobody to blame.
            return await self._commit(reading, doubting=True)
        parts = halves(reading)
        if parts is None:
            log.error("One report cannot be written, and goes into quarantine: %s", reason)
            return [await self._written(refused(reading, f"cannot be written: {reason}"))]
        return [committed for part in parts for committed in await self._commit(part, doubting=True)]

    async def _written(self, reading: Reading, *, doubting: bool = False) -> Committed:
        """Commit, and wait for what time may mend."""
        commit, delay_s = partial(self._store.commit, reading, doubting=doubting), _RETRY_FIRST_S
        while True:
            try:
                committed = await self._loop.run_in_executor(self._thread, commit)
            except StoreBusy as error:
                self._tell(error)
                await asyncio.sleep(delay_s)
                delay_s = min(2 * delay_s, _RETRY_LIMIT_S)
            else:
                self.problem = ""
                return committed

    def _tell(self, error: StoreBusy) -> None:
        if error.message != self.problem:
            log.warning("%s. Nothing is acknowledged until it is written.", error.message)
        self.problem = error.message
