"""Reports that wait on disk for the collector: the durable form of `ReportQueue`, with the same methods.

Memory holds what is new; `commit` moves it to disk, at most once an interval, and only what no collector has by then. Two locks:
`_memory` is held for moments and is all that `put` needs; `_disk` is held while the database works, and is taken first.
"""

from __future__ import annotations

from collections import Counter, OrderedDict

from edgesdk_agent.outbox.commit import Batch, Commit, Outcome
from edgesdk_agent.outbox.number_ranges import NumberRanges
from edgesdk_agent.outbox.opening import set_aside
from edgesdk_agent.outbox.sending import Sending
from edgesdk_agent.outbox.store import Store, StoreDamaged, StoreUnavailable
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_agent.presence import utc
from edgesdk_agent.report_queue import ReportKind
from edgesdk_targets.messages import GAP_EVENT, Event, Gap, GapCause, encode

_LOWEST_FIRST = tuple(reversed(ReportKind))
# A commit begins so much before it must have ended, at most: a card that is busy takes seconds for a sync.
_SYNC_TAKES_S = 5.0
# So much is worth a sync of its own, and none of it is gained by waiting for more.
_WORTH_A_SYNC_BYTES = 256 << 10
# Beyond it the file of recent reports is begun anew where a collector has them: else the system would write it to the card.
_RECENT_FILE_BYTES = 4 << 10


class Outbox(Sending):
    """A thread-safe queue of reports that outlives its process.

    Args:
        path: of the database; files beside it begin with its name.
        node: who reports, `{tenant}.{device}`.
        clock: monotonic seconds; wall: seconds since 1970.
        boot: tells two starts of the system apart.

    Raises:
        InputError: another process has the outbox.
    """

    def step(self) -> None:
        """Do what is due: commit, and let go of what is on disk. The keeper calls it some times in an interval."""
        with self._memory:
            since = self._clock() - self._committed_at
            spaced = since >= _begin_after_s(self.settings.sync_interval_s)
            soon_out_of_numbers = self._ceiling - self._next_seq < self.settings.reserve // 2
            due = (spaced and self._has_work(since)) or soon_out_of_numbers
            # Beyond twice what must stay: a disk that is full for hours must not have all of it written each time.
            if (
                self._recent.size_bytes > max(_RECENT_FILE_BYTES, 2 * self._unwritten_bytes)
                and not due
                and not self._gone
            ):
                self._recent.rewrite(self._unwritten.values(), self._next_seq - 1)
        if due:
            self.commit()
        self._let_go()

    def commit(self) -> bool:
        """Write what is not on disk, delete what is acknowledged, keep the budgets, in one synced transaction.

        Returns:
            Whether all of it is on disk now.
        """
        with self._disk:
            return self._commit(clean=False)

    def close(self) -> None:
        """Write everything and close the files. May be called twice."""
        with self._disk:
            if self._closed:
                return
            self._closed = True
            self._commit(clean=True)
            if self._store is not None:
                self._store.close()
                self._store = None
            self._recent.close()

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

    def _next_young(self, now: float) -> int:
        """Return the lowest number for which an acknowledgement is awaited; what is older is written packed, at once."""
        young = (seq for seq, report in self._fresh.items() if now - report.born < self.settings.resend_s)
        return next(young, self._next_seq)

    def _commit(self, *, clean: bool) -> bool:
        now = self._clock()
        with self._memory:
            self._committed_at = now
            reports = list(self._unwritten.values())
            self._writing = frozenset(self._unwritten)
            last = self._next_seq - 1
            ceiling = last if clean else self._ceiling
            if not clean and ceiling - last < self.settings.reserve // 2:
                ceiling = last + self.settings.reserve
            batch = Batch(
                reports=reports,
                acknowledged=self._acknowledged,
                gone=self._gone,
                meta={"ceiling": ceiling, "clean": int(clean)},
                on_change={"written_upto": last, **self._meter.to_meta()},
                below=self._next_young(now),
                at=self._wall(),
                telling=self._telling(),
                told=tuple(seq for seq in self._ledger.tellers if seq not in self._kept),
            )
            self._acknowledged, self._gone = [], []
        outcome: Outcome | None = None
        try:
            if self._store is not None:
                outcome = Commit(self._store, self._ledger, self.settings, self._node, self.epoch).run(batch)
        except StoreUnavailable as error:
            self._tell("outbox_unavailable", f"{self._path}: {error}. Reports wait in memory meanwhile.")
        except StoreDamaged as error:
            self._put_back(batch)
            self._rescue(str(error))
            return False
        if outcome is None:
            self._put_back(batch)
            if self._store is None:
                self._settle_in_memory()
            return False
        self._written(batch, outcome, ceiling)
        if batch.telling is not None:
            self._listener()
        return True

    def _written(self, batch: Batch, outcome: Outcome, ceiling: int) -> None:
        assert self._store is not None  # noqa: S101  (it has just been written)
        with self._memory:
            for report in batch.reports:
                if self._unwritten.pop(report.seq, None) is not None:
                    self._unwritten_bytes -= report.size_bytes
            self._writing = frozenset()
            self._ledger = outcome.ledger
            self._ceiling = max(self._ceiling, ceiling)
            self._counts["delivered"] += outcome.delivered
            for what, counts in (("dropped", outcome.dropped), ("refused", outcome.refused)):
                self._counts[what] += counts
            for first, last in outcome.gone:
                self._kept.remove(first, last)
                for seq in [s for s in self._fresh if first <= s <= last]:
                    del self._fresh[seq]
            self._meter.written(self._store.written_bytes)
            self._store.written_bytes = 0
            self._trouble = None
            if batch.telling is not None:
                report, self._held = batch.telling[0], None
                if report.seq in self._kept:
                    self._fresh[report.seq] = report
                    self._live[ReportKind.EVENT].append(report.seq)
            self._recent.rewrite(self._unwritten.values(), self._next_seq - 1)
            self._memory.notify_all()

    def _settle_in_memory(self) -> None:
        """Without a disk the ledger is kept in memory, and what it tells is on its way like any report."""
        with self._memory:
            gone, self._gone, self._acknowledged = self._gone, [], []
            for (first, last), cause, kind in gone:
                known = NumberRanges(self._ledger.numbers)
                if kind is None and cause is GapCause.REFUSED:
                    for seq in range(first, last + 1):
                        report = self._fresh.pop(seq, None)
                        if report is not None:
                            del self._unwritten[seq]
                            self._unwritten_bytes -= report.size_bytes
                            self._kept.remove(seq, seq)
                            self._counts["refused"][report.kind] += 1
                            self._ledger.add([(seq, seq)], cause, report.kind)
                else:
                    self._ledger.add(known.absent(first, last), cause, kind)
            for teller in self._ledger.tellers:
                if teller not in self._kept:
                    self._ledger.settled(teller)
            if self._held is not None:
                (report, gap), self._held = self._held, None
                self._ledger.tell(report.seq, gap)
                self._fresh[report.seq] = self._unwritten[report.seq] = report
                self._unwritten_bytes += report.size_bytes
                self._live[ReportKind.EVENT].append(report.seq)
            self._ledger.saved()

    def _put_back(self, batch: Batch) -> None:
        """A commit failed: its work is the next one's."""
        with self._memory:
            self._writing = frozenset()
            for report in batch.reports:
                if report.seq not in self._unwritten and report.seq not in self._kept:
                    # Acknowledged meanwhile, and never on disk.
                    self._counts["delivered"][report.kind] += 1
            self._acknowledged = batch.acknowledged + self._acknowledged
            self._gone = batch.gone + self._gone

    def _telling(self) -> tuple[StoredReport, Gap] | None:
        """Number a report of what is gone; it is sent when it is on disk, together with the ledger that knows it."""
        if self._held is None and self._heard() and not self._closed and (gap := self._ledger.to_tell()) is not None:
            now = self._wall()
            told = Event(
                node=self._node,
                at=utc(now),
                epoch=self.epoch,
                seq=self._next_seq,
                name=GAP_EVENT,
                severity="warning",
                message=gap.in_words(),
                data=gap.to_data(),
            )
            report = StoredReport(told.seq, ReportKind.EVENT, encode(told).payload, False, now, self._clock())
            self._next_seq += 1
            self._kept.add(report.seq, report.seq)
            self._counts["put"][ReportKind.EVENT] += 1
            self._held = (report, gap)
        return self._held

    def _rescue(self, reason: str) -> None:
        """The database is damaged: keep it aside, begin a new one in the same epoch, and declare what was only in the old."""
        if self._store is not None:
            self._store.close()
        self._store = None
        with self._memory:
            lost = NumberRanges(self._kept)
            in_memory = Counter(report.kind for report in self._fresh.values())
            for seq in self._fresh:
                lost.remove(seq, seq)
            for first, last in lost:
                self._kept.remove(first, last)
            left = len(lost)
            for kind in _LOWEST_FIRST:
                known = self._counts["put"][kind] + self._counts["restored"][kind] - in_memory[kind]
                known -= sum(self._counts[what][kind] for what in ("delivered", "dropped", "refused"))
                dropped = min(known, left)
                left -= dropped
                self._counts["dropped"][kind] += dropped
                # The others were acknowledged, and only not deleted yet.
                self._counts["delivered"][kind] += known - dropped
            self._acknowledged = []
            self._unwritten = OrderedDict(self._fresh)
            self._unwritten_bytes = sum(report.size_bytes for report in self._fresh.values())
        self._ledger.add(list(lost), GapCause.DAMAGED)
        for gap in self._ledger.gaps:
            self._ledger.changed[gap.first] = gap
        aside = set_aside(self._path)
        self._recent.close()
        try:
            store = Store(self._path)
            with store.transaction():
                store.set_meta({"epoch": self.epoch, "ceiling": self._ceiling, "boot": self._boot, "clean": 0})
            self._store = store
        except (StoreUnavailable, StoreDamaged) as error:
            reason = f"{reason}; a new one cannot be made: {error}"
        self._tell("outbox_damaged", f"{self._path} is damaged ({reason}); it was kept as {aside.name}.")


def _begin_after_s(interval_s: float) -> float:
    """Seconds after which a commit must begin, so that it has ended when the interval is over."""
    return interval_s - min(interval_s / 4, _SYNC_TAKES_S)
