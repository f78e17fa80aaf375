"""A database that is damaged, or could not be opened: reports go on without it, and into a new one as soon as there can be one."""

from __future__ import annotations

from collections import Counter, OrderedDict

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.database import StoreDamaged, StoreUnavailable
from edgesdk_agent.outbox.earlier_file import earlier_path, put_aside
from edgesdk_agent.outbox.number_ranges import NumberRanges
from edgesdk_agent.outbox.opening import recovered, set_aside
from edgesdk_agent.outbox.store import Store
from edgesdk_agent.outbox.writing import Writing
from edgesdk_targets.messages import GapCause

_LOWEST_FIRST = tuple(reversed(ReportKind))
TRY_AGAIN_S = 10.0


class Mending(Writing):
    """An outbox that helps itself; whatever happens to its file, its epoch stays as long as its process."""

    def _reopen(self) -> None:
        """Try, now and then, to open what could not be opened."""
        with self._disk:
            now = self._clock()
            if self._store is not None or self._closed or now < self._reopen_at:
                return
            self._reopen_at = now + TRY_AGAIN_S
            try:
                self._store = self._begin()
            except StoreDamaged as error:
                self._tell(
                    "outbox_damaged", f"{self._path} is damaged ({error}); it was kept as {set_aside(self._path).name}."
                )
                return
            except (StoreUnavailable, OSError):
                return
            self._look_at = now
            self._commit(clean=False)

    def _begin(self) -> Store:
        """Return a database for this epoch; what the file holds of an earlier one waits beside it, and is sent from there.

        Raises:
            StoreUnavailable, OSError: not now.
            StoreDamaged: not with this file.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            found = recovered(self._path, self.settings.reserve, self._boot)
            found.recent.close()
            store = found.store
            assert store is not None  # noqa: S101  (it has just been opened)
            if found.kept or len(found.ledger):
                if earlier_path(self._path).exists():
                    store.close()
                    raise StoreUnavailable("two earlier epochs wait to be sent; the older one must be empty first")
                put_aside(self._path, store, found.next_seq - 1)
                store = Store(self._path)
        else:
            store = Store(self._path)
        try:
            with self._memory:
                ceiling = self._next_seq - 1 + self.settings.reserve
            with store.transaction():
                store.set_meta(
                    {"epoch": self.epoch, "ceiling": ceiling, "written_upto": 0, "boot": self._boot, "clean": 0}
                )
        except BaseException:
            store.close()
            raise
        with self._memory:
            self._ceiling = ceiling
            self._ledger.unsaved()
        return store

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
        self._ledger.unsaved()
        aside = set_aside(self._path)
        self._recent.close()
        try:
            self._store = self._begin()
        except (StoreUnavailable, StoreDamaged, OSError) as error:
            reason = f"{reason}; a new one cannot be made yet: {error}"
        self._tell("outbox_damaged", f"{self._path} is damaged ({reason}); it was kept as {aside.name}.")
