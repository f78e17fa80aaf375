"""What the outbox holds in memory: reports that are new, what is kept at all, and the counts."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from edgesdk_agent.link.report_queue import Build, QueueCounts, QueuedReport, ReportKind
from edgesdk_agent.outbox.backlog import BacklogPace
from edgesdk_agent.outbox.day_meter import DayMeter
from edgesdk_agent.outbox.number_ranges import NumberRanges, Range
from edgesdk_agent.outbox.opening import boot_id, open_files, room_path
from edgesdk_agent.outbox.room import Room
from edgesdk_agent.outbox.settings import OutboxSettings
from edgesdk_agent.outbox.store import Store
from edgesdk_agent.outbox.stored_report import StoredReport
from edgesdk_targets.messages import DEFLATED, Gap, GapCause

log = logging.getLogger(__name__)

_LOWEST_FIRST = tuple(reversed(ReportKind))
# A collector that said nothing for so long is not there.
_HEARD_S = 10.0
Trouble = Callable[[str, str], None]


class InMemory:
    """The state of an outbox, and what needs no database; `Sending` and `Outbox` are built upon it.

    Two locks: `_memory` is held for moments and is all that `put` needs; `_disk` is held while the database works, and is
    taken first.
    """

    durable = True

    def __init__(
        self,
        path: Path,
        node: str,
        settings: OutboxSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        boot: str = "",
    ) -> None:
        self.settings = settings or OutboxSettings()
        self._path, self._node, self._clock, self._wall = path, node, clock, wall
        self._boot = boot or boot_id()
        opened = open_files(path, self.settings.reserve, self._boot)
        if self.settings.once_heard and opened.store is not None and opened.store.meta.get("collector") == "1":
            self.settings = replace(self.settings, by_collector=True)
        self.epoch = opened.epoch
        self._store: Store | None = opened.store
        self._recent, self._ledger, self._kept = opened.recent, opened.ledger, opened.kept
        self._next_seq, self._ceiling = opened.next_seq, opened.ceiling
        self._meter = DayMeter(self.settings.metered_bytes_per_day, wall, opened.store.meta if opened.store else {})
        self._pace = BacklogPace(self.settings, clock)
        self._room = Room(room_path(path))
        self._reopen_at = self._look_at = clock()
        self._disk = threading.Lock()
        self._memory = threading.Condition()
        # Reports that are in memory, by number; of these, those that no commit has written.
        self._fresh: OrderedDict[int, StoredReport] = OrderedDict()
        self._unwritten: OrderedDict[int, StoredReport] = OrderedDict()
        self._unwritten_bytes = 0
        self._writing: frozenset[int] = frozenset()
        self._live: dict[ReportKind, deque[int]] = {kind: deque() for kind in ReportKind}
        self._on_way: dict[int, list[Range]] = {}
        self._ready: deque[QueuedReport] = deque()
        # For the next commit: acknowledged, and gone with its cause and kind.
        self._acknowledged: list[Range] = []
        self._gone: list[tuple[Range, GapCause, ReportKind | None]] = []
        self._connected = False
        self._waits_for_disk = False
        self._committed_at = clock()
        self._held: tuple[StoredReport, Gap] | None = None
        self._ack_at = -math.inf
        # Content types of segments that the collector reads, beside the deflated one.
        self._taken: frozenset[str] = frozenset()
        self._ignored_acks = 0
        # Of the keeper; a fault of ours, as whatever a disk does is expected.
        self.failed_steps = 0
        self._resent = 0
        self._counts: dict[str, Counter[ReportKind]] = {
            what: Counter() for what in ("put", "delivered", "dropped", "refused")
        }
        self._counts["restored"] = opened.restored
        self._listener: Callable[[], None] = _nobody
        self._on_trouble: Trouble = _no_trouble
        self._trouble = opened.trouble
        if opened.trouble is not None:
            log.warning("%s", opened.trouble[1])
        self._closed = False

    def listen(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each put, in the thread that put; it must be quick and not raise."""
        self._listener = listener

    def on_trouble(self, tell: Trouble) -> None:
        """Have `tell` called with code and message when the disk fails; at once, if it did already."""
        self._on_trouble = tell
        if self._trouble is not None:
            tell(*self._trouble)

    @property
    def next_seq(self) -> int:
        """The number that the next report will get."""
        with self._memory:
            return self._next_seq

    def put(self, kind: ReportKind, build: Build) -> int:
        """Number a report and keep it: it survives a kill from now on, and a power cut after the sync interval.

        Args:
            kind: decides what is dropped first.
            build: called once with epoch and sequence number; what it raises is passed on, and no number is used.

        Returns:
            The report's sequence number.
        """
        with self._memory:
            seq = self._next_seq
            body = build(self.epoch, seq)
            report = StoredReport(seq, kind, body.payload, body.content_type == DEFLATED, self._wall(), self._clock())
            self._next_seq += 1
            self._kept.add(seq, seq)
            self._fresh[seq] = self._unwritten[seq] = report
            self._unwritten_bytes += report.size_bytes
            self._live[kind].append(seq)
            self._counts["put"][kind] += 1
            self._recent.write(report)
            while self._unwritten_bytes > self.settings.memory_bytes and self._drop_from_memory():
                pass
        self._listener()
        return seq

    def wait_empty(self, timeout_s: float) -> bool:
        """Wait until every report is with the collector or dropped; False when the time is up first."""
        with self._memory:
            return self._memory.wait_for(lambda: not self._kept, timeout_s)

    @property
    def pending(self) -> int:
        """Reports that are kept."""
        with self._memory:
            return len(self._kept)

    @property
    def only_in_memory(self) -> int:
        """Reports that end with this process: neither the database nor the file of recent ones has them."""
        with self._memory:
            return 0 if self._recent.usable else len(self._unwritten)

    @property
    def empty(self) -> bool:
        """Whether nothing is kept, and nothing is left to be told."""
        with self._memory:
            return not (self._kept or self._gone or self._held or len(self._ledger))

    @property
    def fullness(self) -> float:
        """Between 0 and 1: how much of its room is taken, on disk or in memory."""
        stored = self._store.stored_bytes if self._store else 0
        return max(stored / self.settings.max_bytes, self._unwritten_bytes / self.settings.memory_bytes)

    def counts(self) -> QueueCounts:
        """Return what became of the reports of this run, and of those that it found."""
        with self._memory:
            named = {what: {kind.value: c[kind] for kind in ReportKind} for what, c in self._counts.items()}
            known = sum(self._counts["put"].values()) + sum(self._counts["restored"].values())
            settled = sum(sum(self._counts[what].values()) for what in ("delivered", "dropped", "refused"))
            on_way = sum(last - first + 1 for numbers in self._on_way.values() for first, last in numbers)
            on_way = min(on_way, known - settled)
            size = self._unwritten_bytes + (self._store.stored_bytes if self._store else 0)
            return QueueCounts(**named, pending=known - settled - on_way, in_flight=on_way, size_bytes=size)

    def figures(self) -> dict[str, int]:
        """Return what telemetry tells of the outbox; bytes are of this day."""
        with self._memory:
            return {
                "kept": len(self._kept),
                "stored_bytes": self._store.stored_bytes if self._store else 0,
                "sent_bytes_today": self._meter.sent_bytes,
                "written_bytes_today": self._meter.written_bytes,
                "gaps": len(self._ledger),
                "ignored_acks": self._ignored_acks,
                "resent": self._resent,
                "on_disk": int(self._store is not None),
                "failed_steps": self.failed_steps,
            }

    def _remove(self, first: int, last: int) -> list[Range]:
        """Forget numbers that were delivered; return those that were kept."""
        removed = self._kept.remove(first, last)
        for a, b in removed:
            on_disk = NumberRanges([(a, b)])
            for seq in [s for s in self._fresh if a <= s <= b] if b - a > 64 else range(a, b + 1):
                report = self._fresh.pop(seq, None)
                if report is not None and self._unwritten.pop(seq, None) is not None:
                    self._unwritten_bytes -= report.size_bytes
                    if seq not in self._writing:
                        self._counts["delivered"][report.kind] += 1
                        on_disk.remove(seq, seq)
            self._acknowledged += on_disk
        return removed

    def _drop_from_memory(self) -> bool:
        for kind in _LOWEST_FIRST:
            for seq, report in self._unwritten.items():
                if report.kind is kind and seq not in self._writing:
                    del self._unwritten[seq], self._fresh[seq]
                    self._unwritten_bytes -= report.size_bytes
                    self._kept.remove(seq, seq)
                    self._counts["dropped"][kind] += 1
                    self._gone.append(((seq, seq), GapCause.BUDGET, kind))
                    return True
        return False

    def _requeue(self) -> None:
        """Send again, live, what is only in memory or young."""
        for line in self._live.values():
            line.clear()
        for report in self._fresh.values():
            self._live[report.kind].append(report.seq)

    def _heard(self) -> bool:
        """Whether somebody is there to be told of gaps: otherwise the tale would only fill the outbox."""
        return self._connected and (not self.settings.by_collector or self._clock() - self._ack_at < _HEARD_S)

    def _tell(self, code: str, message: str) -> None:
        # Once for each trouble: a disk that stays full must not fill the log.
        if self._trouble is None or self._trouble[0] != code:
            self._trouble = (code, message)
            log.warning("%s", message)
            self._on_trouble(code, message)


def _nobody() -> None:
    pass


def _no_trouble(_code: str, _message: str) -> None:
    pass
