"""One transaction of the outbox: new reports in, acknowledged ones out, budgets kept, backlog packed, ledger written."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.compaction import Compaction
from edgesdk_agent.outbox.ledger import GapLedger
from edgesdk_agent.outbox.number_ranges import Range
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_agent.outbox.store import Store
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_targets.messages import Gap, GapCause

_LOWEST_FIRST = tuple(reversed(ReportKind))
# A clock before this was never set; what it says of ages is nothing.
_SANE_CLOCK_S = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What a commit is to do.

    Attributes:
        gone: ranges with their cause; of a kind where the report is forgotten and counted already, else still to be.
        below: single reports below this number may be packed.
        at: seconds since 1970.
        meta: to be kept with it; `on_change` only where something leaves.
        telling: a gap and the report that tells it, which nobody may see before both are on disk.
        told: numbers of such reports that were acknowledged.
    """

    reports: list[StoredReport]
    acknowledged: list[Range]
    gone: list[tuple[Range, GapCause, ReportKind | None]]
    meta: dict[str, object]
    on_change: dict[str, object]
    below: int
    at: float
    telling: tuple[StoredReport, Gap] | None = None
    told: tuple[int, ...] = ()


@dataclass(slots=True)
class Outcome:
    """What a commit did.

    Attributes:
        gone: numbers that are not kept any more, beside the acknowledged.
    """

    ledger: GapLedger
    delivered: Counter[ReportKind] = field(default_factory=Counter)
    dropped: Counter[ReportKind] = field(default_factory=Counter)
    refused: Counter[ReportKind] = field(default_factory=Counter)
    gone: list[Range] = field(default_factory=list)


class Commit:
    """A commit in the making; `run` is one transaction, and leaves nothing changed where it raises."""

    def __init__(self, store: Store, ledger: GapLedger, settings: OutboxSettings, node: str, epoch: str) -> None:
        self._store = store
        self._settings = settings
        self._node = node
        self._epoch = epoch
        self._outcome = Outcome(ledger.copy())

    def run(self, batch: Batch) -> Outcome:
        """Do it all.

        Raises:
            StoreUnavailable: not now.
            StoreDamaged: never again with this file.
        """
        outcome, store = self._outcome, self._store
        with store.transaction():
            for teller in batch.told:
                outcome.ledger.settled(teller)
            store.insert(self._packed(batch))
            if batch.telling is not None:
                report, gap = batch.telling
                store.insert([report])
                outcome.ledger.tell(report.seq, gap)
            outcome.delivered = store.delete(batch.acknowledged)
            self._note_gone(batch)
            self._expire(batch.at)
            self._keep_budget()
            self._drop_spoilt()
            for teller in outcome.ledger.tellers:
                if any(first <= teller <= last for first, last in outcome.gone):
                    outcome.ledger.untell(teller)
            store.save_ledger(outcome.ledger)
            store.set_meta(batch.meta)
            if outcome.delivered or outcome.gone or batch.meta["clean"]:
                # As long as nothing leaves, the rows themselves say how far it was written: a page less.
                store.set_meta(batch.on_change)
        outcome.ledger.saved()
        store.spoilt.clear()
        return outcome

    def _packed(self, batch: Batch) -> list[StoredReport]:
        """Pack what is old enough; return what of the new is written as it is."""
        if not self._settings.by_collector or batch.gone:
            # What is refused is looked for among the single ones.
            return batch.reports
        ledger = self._outcome.ledger
        packing = Compaction(self._store, self._node, self._epoch, batch.at, batch.below, ledger.tellers)
        left = [packing.pack(kind, [report for report in batch.reports if report.kind is kind]) for kind in ReportKind]
        return [report for reports in left for report in reports]

    def _note_gone(self, batch: Batch) -> None:
        known = self._outcome.ledger.numbers if any(c is GapCause.SETTLED for _, c, _ in batch.gone) else None
        for (first, last), cause, kind in batch.gone:
            if kind is not None:
                self._outcome.ledger.add([(first, last)], cause, kind)
            elif cause is GapCause.SETTLED and known is not None:
                holes = known.absent(first, last)
                self._outcome.ledger.add(holes, cause)
                for a, b in holes:
                    known.add(a, b)
            else:
                # One by one, as the kind of each is known only to the database.
                for seq in range(first, last + 1):
                    for found in self._store.delete([(seq, seq)]):
                        self._gone([(seq, seq)], cause, found)
                        self._outcome.refused[found] += 1

    def _gone(self, ranges: list[Range], cause: GapCause, kind: ReportKind) -> None:
        self._outcome.ledger.add(ranges, cause, kind)
        self._outcome.gone += ranges

    def _drop(self, ranges: list[Range], cause: GapCause, kind: ReportKind) -> None:
        self._gone(ranges, cause, kind)
        self._outcome.dropped[kind] += sum(last - first + 1 for first, last in ranges)

    def _drop_spoilt(self) -> None:
        for ranges, kind in self._store.delete_spoilt():
            self._outcome.ledger.add(ranges, GapCause.DAMAGED)
            self._outcome.gone += ranges
            self._outcome.dropped[kind] += sum(last - first + 1 for first, last in ranges)

    def _keep_budget(self) -> None:
        for kind in _LOWEST_FIRST:
            while self._store.stored_bytes > self._settings.max_bytes and self._drop_oldest(kind, GapCause.BUDGET):
                pass

    def _expire(self, at: float) -> None:
        if not self._settings.max_age_s or at < _SANE_CLOCK_S:
            return
        before = at - self._settings.max_age_s
        for kind in _LOWEST_FIRST:
            while self._drop_oldest(kind, GapCause.EXPIRED, before=before):
                pass

    def _drop_oldest(self, kind: ReportKind, cause: GapCause, before: float | None = None) -> bool:
        """Drop the oldest segment or report of a kind; False where there is none, or it is younger than `before`."""
        segment = next(iter(self._store.segments(kind)), None)
        # What tells a gap stays: dropped, it would only make another one.
        tellers = self._outcome.ledger.tellers
        rows = self._store.rows(kind, 1 + len(tellers))
        row = next((row for row in rows if row.seq not in tellers), None)
        oldest = segment if segment is not None and (row is None or segment.first < row.seq) else row
        if oldest is None or (before is not None and not _SANE_CLOCK_S < oldest.put_at < before):
            return False
        if isinstance(oldest, StoredReport):
            self._store.delete_rows(oldest.seq, oldest.seq)
            self._drop([(oldest.seq, oldest.seq)], cause, kind)
        else:
            self._store.delete_segment(oldest)
            self._drop(list(oldest.members), cause, kind)
        return True
