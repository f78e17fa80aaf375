"""From memory to disk: one commit of what is new, acknowledged, gone and to be told."""

from __future__ import annotations

from edgesdk_agent.link.presence import utc
from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.commit import Batch, Commit, Outcome
from edgesdk_agent.outbox.database import StoreDamaged, StoreUnavailable
from edgesdk_agent.outbox.number_ranges import NumberRanges
from edgesdk_agent.outbox.sending import Sending
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_targets.messages import GAP_EVENT, Event, Gap, GapCause, encode

# So many reserves are set aside at once where the disk is full: it may be so for days.
_RESERVES_WHEN_FULL = 10


class Writing(Sending):
    """An outbox that can be written to its disk."""

    def commit(self) -> bool:
        """Write what is not on disk, delete what is acknowledged, keep the budgets, in one synced transaction.

        Returns:
            Whether all of it is on disk now.
        """
        with self._disk:
            return self._commit(clean=False)

    def _next_young(self, now: float) -> int:
        """Return the lowest number for which an acknowledgement is awaited; what is older is written packed, at once."""
        young = (seq for seq, report in self._fresh.items() if now - report.born < self.settings.resend_s)
        return next(young, self._next_seq)

    def _without_answerable(self, now: float) -> list[StoredReport]:
        """Return what is to be written but the newest, if no event is among them: a collector mostly has them in a moment."""
        reports = list(self._unwritten.values())
        answered_after_s = self.settings.sync_interval_s / 2
        while reports and reports[-1].kind is not ReportKind.EVENT and now - reports[-1].born < answered_after_s:
            reports.pop()
        return reports

    def _commit(self, *, clean: bool, all_of_it: bool = True) -> bool:
        now = self._clock()
        with self._memory:
            self._committed_at = now
            telling = self._telling()
            # What tells a gap has the highest number: all below it goes with it, as up to the highest on disk nothing is
            # looked for elsewhere after a kill.
            all_of_it = all_of_it or telling is not None
            reports = list(self._unwritten.values()) if all_of_it else self._without_answerable(now)
            self._writing = frozenset(report.seq for report in reports)
            last = self._next_seq - 1
            left = len(self._unwritten) > len(reports)
            # All up to here are written, or settled; what is left of the new ones is above.
            upto = (reports[-1].seq if reports else next(iter(self._unwritten)) - 1) if left else last
            ceiling = last if clean else self._ceiling
            if not clean and ceiling - last < self.settings.reserve // 2:
                ceiling = last + self.settings.reserve
            batch = Batch(
                reports=reports,
                acknowledged=self._acknowledged,
                gone=self._gone,
                meta={"ceiling": ceiling, "clean": int(clean), **self._heard_of_collector()},
                on_change={"written_upto": upto, **self._meter.to_meta()},
                below=self._next_young(now),
                at=self._wall(),
                telling=telling,
                told=tuple(seq for seq in self._ledger.tellers if seq not in self._kept),
            )
            self._acknowledged, self._gone = [], []
        outcome: Outcome | None = None
        try:
            if self._store is not None:
                outcome = Commit(self._store, self._ledger, self.settings, self._node, self.epoch).run(batch)
        except StoreUnavailable as error:
            self._tell("outbox_unavailable", f"{self._path}: {error}. Reports wait in memory meanwhile.")
            self._set_numbers_aside(last)
        except StoreDamaged as error:
            self._put_back(batch)
            self._rescue(str(error))
            return False
        except BaseException:
            # A fault of ours: what was to be written is not forgotten with it.
            self._put_back(batch)
            raise
        if outcome is None:
            self._put_back(batch)
            if self._store is None:
                self._settle_in_memory()
            return False
        self._written(batch, outcome, ceiling)
        if batch.telling is not None:
            self._listener()
        return True

    def _set_numbers_aside(self, last: int) -> None:
        """Save that numbers are in use though nothing else can be saved: without that nothing could be sent after a while."""
        if self._store is None or self._ceiling - last >= self.settings.reserve // 2:
            return
        ceiling = last + _RESERVES_WHEN_FULL * self.settings.reserve
        # First into what the log has of the disk already.
        for _ in ("as it is", "with the room that was kept for this"):
            try:
                with self._store.transaction():
                    self._store.set_meta({"ceiling": ceiling, "clean": 0})
            except (StoreUnavailable, StoreDamaged):
                if not self._room.give():
                    return
            else:
                with self._memory:
                    self._ceiling = max(self._ceiling, ceiling)
                return

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
            self._room.take()
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

    def _heard_of_collector(self) -> dict[str, object]:
        """Return what the file is to remember of a collector, if that is not in it yet."""
        heard = self.settings.once_heard and self.settings.by_collector
        known = self._store is None or self._store.meta.get("collector") == "1"
        return {"collector": 1} if heard and not known else {}

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
