"""Reports that wait on disk for the collector: the durable form of `ReportQueue`, with the same methods.

Memory holds what is new; `commit` moves it to disk, at most once an interval, and only what no collector has by then. Two locks:
`_memory` is held for moments and is all that `put` needs; `_disk` is held while the database works, and is taken first.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

from edgesdk_agent.link.report_queue import QueueCounts, QueuedReport, ReportKind
from edgesdk_agent.outbox.earlier import Earlier, together
from edgesdk_agent.outbox.earlier_file import earlier_path
from edgesdk_agent.outbox.in_memory import Trouble
from edgesdk_agent.outbox.mending import TRY_AGAIN_S, Mending
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_targets.messages import Ack

log = logging.getLogger(__name__)

# A commit begins so much before it must have ended, at most: a card that is busy takes seconds for a sync.
_SYNC_TAKES_S = 5.0
# So much is worth a sync of its own, and none of it is gained by waiting for more.
_WORTH_A_SYNC_BYTES = 256 << 10
# Beyond it the file of recent reports is begun anew where a collector has them: else the system would write it to the card.
_RECENT_FILE_BYTES = 4 << 10
_NUMBERS_FOR_GAPS = 100


class Outbox(Mending):
    """A thread-safe queue of reports that outlives its process.

    Args:
        path: of the database; files beside it begin with its name.
        node: who reports, `{tenant}.{device}`.
        clock: monotonic seconds; wall: seconds since 1970.
        boot: tells two starts of the system apart.

    Raises:
        InputError: another process has the outbox.
    """

    def __init__(self, path: Path, node: str, settings: OutboxSettings | None = None, **clocks: Any) -> None:
        super().__init__(path, node, settings, **clocks)
        self._clocks = clocks
        # The keeper forgets it when it is empty, while other threads look: each method reads it once.
        self._earlier: Earlier[Outbox] | None = None
        self._emptied: QueueCounts | None = None
        self._recent_again_at = 0.0
        self._look_for_earlier()

    def step(self) -> None:
        """Do what is due: commit, and let go of what is on disk. The keeper calls it some times in an interval."""
        if self._store is None:
            self._reopen()
        earlier = self._earlier
        if earlier is None:
            self._look_for_earlier()
        else:
            self._step_earlier(earlier)
        with self._memory:
            since = self._clock() - self._committed_at
            spaced = since >= _begin_after_s(self.settings.sync_interval_s)
            soon_out_of_numbers = self._ceiling - self._next_seq < self.settings.reserve // 2
            due = spaced and (self._has_work(since) or soon_out_of_numbers)
            # Beyond twice what must stay: a disk that is full for hours must not have all of it written each time.
            if not due and not self._gone and self._recent_is_to_begin_anew():
                self._recent.rewrite(self._unwritten.values(), self._next_seq - 1)
        if due:
            with self._disk:
                self._commit(clean=False, all_of_it=False)
        if self._waits_for_disk:
            self._waits_for_disk = False
            self._listener()
        self._let_go()

    def _recent_is_to_begin_anew(self) -> bool:
        """Whether the file of recent reports is long, or was given up: a commit would begin it, and need not come for hours."""
        if self._recent.usable:
            return self._recent.size_bytes > max(_RECENT_FILE_BYTES, 2 * self._unwritten_bytes)
        now = self._clock()
        if self._store is None or now < self._recent_again_at:
            return False
        self._recent_again_at = now + self.settings.sync_interval_s
        return True

    def close(self) -> None:
        """Write everything and close the files. May be called twice."""
        if (earlier := self._earlier) is not None:
            earlier.box.close()
        with self._disk:
            if self._closed:
                return
            self._closed = True
            self._commit(clean=True)
            self._say_what_is_left()
            if self._store is not None:
                self._store.close()
                self._store = None
            self._recent.close()

    def on_trouble(self, tell: Trouble) -> None:
        """Have `tell` called with code and message when the disk fails; at once, if it did already."""
        super().on_trouble(tell)
        if (earlier := self._earlier) is not None:
            earlier.box.on_trouble(tell)

    def due_in_s(self) -> float:
        """Seconds after which `take` may have something without a put."""
        mine, earlier = super().due_in_s(), self._earlier
        return mine if earlier is None else min(mine, earlier.box.due_in_s())

    def take(self, count: int) -> tuple[QueuedReport, ...]:
        """Return up to `count` messages to send now: live ones, this epoch's backlog, and what is left of an earlier one."""
        taken = super().take(count)
        if (earlier := self._earlier) is not None and len(taken) < count:
            taken += earlier.take(count - len(taken))
        return taken

    def done(self, seq: int) -> None:
        """The broker has a message."""
        if (earlier := self._earlier) is not None and earlier.owns(seq):
            earlier.done(seq)
        else:
            super().done(seq)

    def refuse(self, seq: int) -> None:
        """The broker will never take a message: what is in it is lost, and told as a gap."""
        if (earlier := self._earlier) is not None and earlier.owns(seq):
            earlier.refuse(seq)
        else:
            super().refuse(seq)

    def give_back(self) -> int:
        """The connection is lost: what is on its way is sent again on the next one; return how many messages."""
        earlier = self._earlier
        return super().give_back() + (earlier.box.give_back() if earlier is not None else 0)

    def acknowledge(self, ack: Ack) -> None:
        """A collector tells what it has, and what it wants, of one epoch."""
        if (earlier := self._earlier) is not None and ack.epoch == earlier.box.epoch:
            earlier.box.acknowledge(ack)
        else:
            super().acknowledge(ack)

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until every report is with the collector or dropped; False when the time is up first."""
        deadline = time.monotonic() + timeout_s
        earlier = self._earlier
        return super().wait_empty(timeout_s) and (
            earlier is None or earlier.box.wait_empty(max(0.0, deadline - time.monotonic()))
        )

    @property
    def pending(self) -> int:
        """Reports that are kept."""
        earlier = self._earlier
        return super().pending + (earlier.box.pending if earlier is not None else 0)

    def counts(self) -> QueueCounts:
        """Return what became of the reports of this run, and of those that it found."""
        earlier = self._earlier
        parts = [self._emptied, earlier.box.counts() if earlier is not None else None]
        return reduce(together, filter(None, parts), super().counts())

    def figures(self) -> dict[str, int]:
        """Return what telemetry tells of the outbox; bytes are of this day."""
        mine, earlier = super().figures(), self._earlier
        if earlier is None:
            return mine
        theirs = earlier.box.figures()
        return {name: count + (theirs[name] if name != "on_disk" else 0) for name, count in mine.items()}

    def _say_what_is_left(self) -> None:
        gone = self.only_in_memory
        if kept := len(self._kept) - gone:
            log.info("%d reports stay in the outbox for the next start", kept)
        if gone:
            log.warning("%d reports end with this process: %s could not be written", gone, self._path)

    def _look_for_earlier(self) -> None:
        path, now = earlier_path(self._path), self._clock()
        if now < self._look_at or not path.exists():
            return
        self._look_at = now + TRY_AGAIN_S
        # It needs numbers only to tell of gaps.
        box = Outbox(path, self._node, replace(self.settings, reserve=_NUMBERS_FOR_GAPS), **self._clocks)
        if box.figures()["on_disk"]:
            box.on_trouble(self._on_trouble)
            self._earlier = Earlier(box, path)
        else:
            box.close()

    def _step_earlier(self, earlier: Earlier[Outbox]) -> None:
        earlier.box.step()
        if not earlier.box.empty:
            return
        counts = earlier.box.counts()
        self._emptied = together(counts, self._emptied) if self._emptied is not None else counts
        self._earlier = None
        earlier.remove()

    def _has_work(self, since_s: float) -> bool:
        """Tell whether anything asks for a commit, the last of which began so long ago."""
        settings, now = self.settings, self._clock()
        oldest = next(iter(self._unwritten.values()), None)
        event = next((report for report in self._unwritten.values() if report.kind is ReportKind.EVENT), None)
        return (
            any(
                now - report.born >= _begin_after_s(settings.safe_after_s(report.kind))
                for report in (oldest, event)
                if report
            )
            or self._unwritten_bytes >= _WORTH_A_SYNC_BYTES
            or bool(self._gone)
            or bool(self._heard_of_collector())
            or bool(self._store is not None and self._store.spoilt)
            # Nothing depends on how soon what was acknowledged is deleted.
            or (bool(self._acknowledged) and since_s >= settings.bulk_sync_interval_s)
            or (self._heard() and self._ledger.to_tell() is not None)
        )

    def _let_go(self) -> None:
        """Forget in memory what is on disk and not so young that an acknowledgement is awaited."""
        with self._memory:
            now = self._clock()
            for seq, report in list(self._fresh.items()):
                if seq in self._unwritten or now - report.born < self.settings.resend_s:
                    break
                del self._fresh[seq]


def _begin_after_s(interval_s: float) -> float:
    """Seconds after which a commit must begin, so that it has ended when the interval is over."""
    return interval_s - min(interval_s / 4, _SYNC_TAKES_S)
