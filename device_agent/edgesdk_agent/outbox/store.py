"""What is kept in the outbox's database: single reports, packed ones, and the ledger of what is gone."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.link.report_queue import ReportKind
from edgesdk_agent.outbox.database import Database, explained, parsed
from edgesdk_agent.outbox.ledger import GapLedger
from edgesdk_agent.outbox.number_ranges import NumberRanges, Range, ranges_from_text, ranges_to_text
from edgesdk_agent.outbox.stored_report import KIND_NUMBER, KINDS, ROW_OVERHEAD_BYTES, StoredReport
from edgesdk_targets.messages import GapCause, GapRange

SEGMENT_OVERHEAD_BYTES = 96
_AT_A_TIME = 8


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A packed piece of backlog, without its body.

    Attributes:
        members: the numbers in it that are still kept.
        size_bytes: on disk.
    """

    id: int
    kind: ReportKind
    first: int
    last: int
    members: tuple[Range, ...]
    put_at: float
    size_bytes: int

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self.members)


class Store(Database):
    """One open database, by what is in it. Methods raise StoreDamaged or StoreUnavailable, and nothing else of SQLite's.

    Attributes:
        spoilt: numbers of rows, and negative those of bodies of segments, that were read and are not what was written; nobody
            is given them.
    """

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        super().__init__(path)
        self.spoilt: set[int] = set()
        try:
            with explained(), parsed():
                self.stored_bytes = self._count_bytes()
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, synced at its end."""
        before = self.stored_bytes
        try:
            with super().transaction():
                yield
        except BaseException:
            self.stored_bytes = before
            raise

    def insert(self, reports: Iterable[StoredReport]) -> None:
        rows = [(r.seq, KIND_NUMBER[r.kind], r.deflated, r.put_at, r.body, r.checksum) for r in reports]
        self._db.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        self.stored_bytes += sum(len(row[4]) + ROW_OVERHEAD_BYTES for row in rows)

    def delete(self, ranges: Iterable[Range]) -> Counter[ReportKind]:
        """Take numbers out of rows and segments; return how many reports of each kind those were."""
        gone: Counter[ReportKind] = Counter()
        wanted = list(ranges)
        if not wanted:
            return gone
        for first, last in wanted:
            gone += self.delete_rows(first, last)
        numbers = NumberRanges(wanted)
        low, high = min(first for first, _ in wanted), max(last for _, last in wanted)
        for segment in self._segments("WHERE last >= ? AND first <= ?", (low, high)):
            kept = NumberRanges(segment.members)
            for first, last in segment.members:
                for a, b in numbers.within(first, last):
                    kept.remove(a, b)
            if len(kept) == segment.count:
                continue
            gone[segment.kind] += segment.count - len(kept)
            if kept:
                self._db.execute("UPDATE segments SET members = ? WHERE id = ?", (ranges_to_text(kept), segment.id))
            else:
                self.delete_segment(segment)
        return gone

    def delete_rows(self, first: int, last: int) -> Counter[ReportKind]:
        """Take single reports out; return how many of each kind those were."""
        bounds, gone = (first, last), Counter[ReportKind]()
        select = "SELECT kind, COUNT(*), SUM(LENGTH(body)) FROM rows WHERE seq BETWEEN ? AND ? GROUP BY kind"
        for kind, count, size in self._db.execute(select, bounds).fetchall():
            with parsed():
                gone[KINDS[kind]] = count
            self.stored_bytes -= size + count * ROW_OVERHEAD_BYTES
        if gone:
            self._db.execute("DELETE FROM rows WHERE seq BETWEEN ? AND ?", bounds)
        return gone

    def delete_segment(self, segment: StoredSegment) -> None:
        """Take a whole segment out."""
        self._db.execute("DELETE FROM segments WHERE id = ?", (segment.id,))
        self._db.execute("DELETE FROM bodies WHERE id = ?", (segment.id,))
        self.stored_bytes -= segment.size_bytes

    def add_segment(
        self, kind: ReportKind, numbers: list[int], members: list[Range], put_at: float, body: bytes
    ) -> None:
        """Replace rows by the segment that holds them."""
        for first, last in members:
            self.delete_rows(first, last)
        text = ranges_to_text(members)
        size = len(body) + len(text) + SEGMENT_OVERHEAD_BYTES
        values = (KIND_NUMBER[kind], numbers[0], numbers[-1], text, put_at, size)
        made = self._db.execute(
            "INSERT INTO segments (kind, first, last, members, put_at, bytes) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        self._db.execute("INSERT INTO bodies VALUES (?, ?, ?)", (made.lastrowid, body, zlib.crc32(body)))
        self.stored_bytes += size

    def delete_spoilt(self) -> list[tuple[list[Range], ReportKind]]:
        """Take out what was found to be spoilt and is still there; return the numbers that are gone with it."""
        gone = []
        for name in sorted(self.spoilt):
            if name > 0:
                gone += [([(name, name)], kind) for kind in self.delete_rows(name, name)]
                continue
            for segment in self._segments("WHERE id = ?", (-name,)):
                self.delete_segment(segment)
                gone.append((list(segment.members), segment.kind))
        return gone

    def rows(
        self, kind: ReportKind, limit: int, *, below: int = 1 << 62, newest_first: bool = False
    ) -> list[StoredReport]:
        """Return single reports with numbers below a bound, without those that are spoilt."""
        order, reports = "DESC" if newest_first else "ASC", []
        select = f"SELECT * FROM rows WHERE kind = ? AND seq < ? ORDER BY seq {order} LIMIT ?"  # noqa: S608
        with explained():
            found = self._db.execute(select, (KIND_NUMBER[kind], below, limit)).fetchall()
        with parsed():
            for seq, _, deflated, put_at, body, checksum in found:
                report = StoredReport(seq, kind, body, bool(deflated), put_at)
                if report.is_sound(checksum):
                    reports.append(report)
                else:
                    self.spoilt.add(seq)
        return reports

    def segments(
        self, kind: ReportKind, *, newest_first: bool = False, within: Range = (0, 1 << 62)
    ) -> Iterator[StoredSegment]:
        """Yield the segments that may hold numbers of a range, some at a time: mostly the first of them will do."""
        first, last = within
        number = KIND_NUMBER[kind]
        bound = 1 << 62 if newest_first else first - 1
        while True:
            if newest_first:
                where = "WHERE kind = ? AND last >= ? AND first <= ? AND last < ? ORDER BY last DESC LIMIT ?"
            else:
                where = "WHERE kind = ? AND last >= ? AND first <= ? AND last > ? ORDER BY last LIMIT ?"
            with explained():
                found = list(self._segments(where, (number, first, last, bound, _AT_A_TIME)))
            yield from found
            if len(found) < _AT_A_TIME:
                return
            bound = found[-1].last

    def body(self, segment: StoredSegment) -> bytes | None:
        """Return what is sent of a segment; None where it is spoilt."""
        with explained():
            found = self._db.execute("SELECT body, checksum FROM bodies WHERE id = ?", (segment.id,)).fetchone()
        body, checksum = found or (None, None)
        if isinstance(body, bytes) and checksum in (None, zlib.crc32(body)):
            return body
        self.spoilt.add(-segment.id)
        return None

    def kept(self) -> tuple[NumberRanges, Counter[ReportKind]]:
        """Return every number that is stored, and how many of each kind."""
        numbers, counts = NumberRanges(), Counter[ReportKind]()
        with explained(), parsed():
            for seq, kind in self._db.execute("SELECT seq, kind FROM rows ORDER BY seq"):
                numbers.add(seq, seq)
                counts[KINDS[kind]] += 1
            for segment in self._segments("ORDER BY last", ()):
                counts[segment.kind] += segment.count
                for first, last in segment.members:
                    numbers.add(first, last)
        return numbers, counts

    def highest(self) -> int:
        """Return the highest number that is kept, 0 where there is none."""
        with explained(), parsed():
            found = self._db.execute("SELECT MAX(seq) FROM rows UNION ALL SELECT MAX(last) FROM segments").fetchall()
            return max(number or 0 for (number,) in found)

    def load_ledger(self) -> GapLedger:
        with explained(), parsed():
            gaps = [
                (GapRange(first=first, last=last, cause=GapCause(cause), reports=json.loads(reports)), told_by)
                for first, last, cause, reports, told_by in self._db.execute("SELECT * FROM gaps")
            ]
        return GapLedger(gaps)

    def save_ledger(self, ledger: GapLedger) -> None:
        self._db.executemany("DELETE FROM gaps WHERE first = ?", [(first,) for first in ledger.removed])
        self._db.executemany(
            "INSERT OR REPLACE INTO gaps VALUES (?, ?, ?, ?, ?)",
            [
                (g.first, g.last, g.cause.value, json.dumps(g.reports), ledger.told_by(g.first))
                for g in ledger.changed.values()
            ],
        )

    def _count_bytes(self) -> int:
        rows = self._db.execute("SELECT TOTAL(LENGTH(body) + ?) FROM rows", (ROW_OVERHEAD_BYTES,)).fetchone()[0]
        return int(rows + self._db.execute("SELECT TOTAL(bytes) FROM segments").fetchone()[0])

    def _segments(self, where: str, values: tuple[int, ...]) -> Iterator[StoredSegment]:
        select = f"SELECT id, kind, first, last, members, put_at, bytes FROM segments {where}"  # noqa: S608
        for id_, kind, first, last, members, put_at, size in self._db.execute(select, values).fetchall():
            with parsed():
                segment = StoredSegment(id_, KINDS[kind], first, last, tuple(ranges_from_text(members)), put_at, size)
            yield segment
