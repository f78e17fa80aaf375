"""The outbox's database, SQLite in WAL mode; sqlite3 lives only here, and one caller at a time uses it.

Every transaction ends with a sync. Three tables hold what is kept: `rows`, single reports; `segments`, packed ones of one kind,
whose bodies lie apart so that looking for one does not read them all; `gaps`, the ledger.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgesdk_agent.outbox.ledger import GapLedger
from edgesdk_agent.outbox.number_ranges import NumberRanges, Range
from edgesdk_agent.outbox.stored_report import KIND_NUMBER, KINDS, ROW_OVERHEAD_BYTES, StoredReport
from edgesdk_agent.report_queue import ReportKind
from edgesdk_targets.messages import GapCause, GapRange

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, deflated INTEGER NOT NULL, put_at REAL NOT NULL,
                   body BLOB NOT NULL);
CREATE TABLE segments (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
                       members TEXT NOT NULL, put_at REAL NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX segments_by_last ON segments (kind, last);
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, cause TEXT NOT NULL, reports TEXT NOT NULL,
                   told_by INTEGER NOT NULL);
PRAGMA user_version = 1;
"""
_VERSION = 1
# The log is written back when it is so long: rarely enough for a card, often enough for a small one.
_LOG_BYTES = 512 << 10
SEGMENT_OVERHEAD_BYTES = 96
_AT_A_TIME = 8


class StoreDamaged(Exception):
    """The file is not a database of ours, or not any more."""


class StoreUnavailable(Exception):
    """The file cannot be written now: the disk is full, read-only or failing, or another process has the file."""


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


def connect(path: Path) -> sqlite3.Connection:
    """Open the file without Python's own transactions; nobody else may read it, and its log is made like it."""
    # What fails here fails below too, with SQLite's reason.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        path.chmod(0o600)
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)


class Store:
    """One open database. Methods raise StoreDamaged or StoreUnavailable, and nothing else of SQLite's."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        self._path = path
        self.written_bytes = 0
        self._log_bytes = 0
        with _explained():
            self._db = connect(path)
        try:
            with _explained():
                self._set_up()
                self.meta = dict(self._db.execute("SELECT key, value FROM meta"))
                self.stored_bytes = self._count_bytes()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        # Exclusive: a second agent on the same file is refused, and no shared memory is mapped.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Small pages: a commit writes whole ones, and mostly holds one report.
        self._db.execute("PRAGMA page_size = 1024")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        self._db.execute("PRAGMA cache_size = -1024")
        # Some systems build SQLite so that each page which is given free is written once more, as zeros.
        self._db.execute("PRAGMA secure_delete = OFF")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        elif version != _VERSION:
            raise StoreDamaged(f"it is of version {version}, and this program reads {_VERSION}")
        if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise StoreDamaged("its pages do not fit together")

    def _count_bytes(self) -> int:
        rows = self._db.execute("SELECT TOTAL(LENGTH(body) + ?) FROM rows", (ROW_OVERHEAD_BYTES,)).fetchone()[0]
        return int(rows + self._db.execute("SELECT TOTAL(bytes) FROM segments").fetchone()[0])

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, synced at its end."""
        before, meta = self.stored_bytes, dict(self.meta)
        with _explained():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            with _explained():
                yield
                self._db.execute("COMMIT")
        except BaseException:
            self.stored_bytes, self.meta = before, meta
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._note_written()

    def _note_written(self) -> None:
        with contextlib.suppress(OSError):
            length = self._path.with_name(self._path.name + "-wal").stat().st_size
            self.written_bytes += max(0, length - self._log_bytes)
            self._log_bytes = length
        if self._log_bytes > _LOG_BYTES:
            self.write_back()

    def write_back(self) -> None:
        """Write the log's pages into the database and empty the log; what fails is tried again later."""
        with contextlib.suppress(sqlite3.Error):
            busy, _pages, back = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                page = self._db.execute("PRAGMA page_size").fetchone()[0]
                # At most: a page that is in the log twice is written back once.
                self.written_bytes += min(max(back, 0) * page, self._log_bytes)
                self._log_bytes = 0

    def set_meta(self, values: Mapping[str, object]) -> None:
        pairs = [(key, str(value)) for key, value in values.items() if self.meta.get(key) != str(value)]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", pairs)
        self.meta.update(pairs)

    def insert(self, reports: Iterable[StoredReport]) -> None:
        rows = [(r.seq, KIND_NUMBER[r.kind], r.deflated, r.put_at, r.body) for r in reports]
        self._db.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?)", rows)
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
                self._db.execute("UPDATE segments SET members = ? WHERE id = ?", (json.dumps(list(kept)), segment.id))
            else:
                self.delete_segment(segment)
        return gone

    def delete_rows(self, first: int, last: int) -> Counter[ReportKind]:
        """Take single reports out; return how many of each kind those were."""
        bounds, gone = (first, last), Counter[ReportKind]()
        select = "SELECT kind, COUNT(*), SUM(LENGTH(body)) FROM rows WHERE seq BETWEEN ? AND ? GROUP BY kind"
        for kind, count, size in self._db.execute(select, bounds).fetchall():
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
        text = json.dumps(members)
        size = len(body) + len(text) + SEGMENT_OVERHEAD_BYTES
        values = (KIND_NUMBER[kind], numbers[0], numbers[-1], text, put_at, size)
        made = self._db.execute(
            "INSERT INTO segments (kind, first, last, members, put_at, bytes) VALUES (?, ?, ?, ?, ?, ?)", values
        )
        self._db.execute("INSERT INTO bodies VALUES (?, ?)", (made.lastrowid, body))
        self.stored_bytes += size

    def rows(
        self, kind: ReportKind, limit: int, *, below: int = 1 << 62, newest_first: bool = False
    ) -> list[StoredReport]:
        """Return single reports with numbers below a bound."""
        with _explained():
            order = "DESC" if newest_first else "ASC"
            found = self._db.execute(
                f"SELECT seq, body, deflated, put_at FROM rows WHERE kind = ? AND seq < ? ORDER BY seq {order} LIMIT ?",  # noqa: S608
                (KIND_NUMBER[kind], below, limit),
            )
            return [StoredReport(seq, kind, body, bool(deflated), put_at) for seq, body, deflated, put_at in found]

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
            with _explained():
                found = list(self._segments(where, (number, first, last, bound, _AT_A_TIME)))
            yield from found
            if len(found) < _AT_A_TIME:
                return
            bound = found[-1].last

    def body(self, segment: StoredSegment) -> bytes:
        with _explained():
            return bytes(self._db.execute("SELECT body FROM bodies WHERE id = ?", (segment.id,)).fetchone()[0])

    def kept(self) -> tuple[NumberRanges, Counter[ReportKind]]:
        """Return every number that is stored, and how many of each kind."""
        numbers, counts = NumberRanges(), Counter[ReportKind]()
        with _explained():
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
        found = self._db.execute("SELECT MAX(seq) FROM rows UNION ALL SELECT MAX(last) FROM segments").fetchall()
        return max(number or 0 for (number,) in found)

    def load_ledger(self) -> GapLedger:
        with _explained():
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

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _segments(self, where: str, values: tuple[int, ...]) -> Iterator[StoredSegment]:
        select = f"SELECT id, kind, first, last, members, put_at, bytes FROM segments {where}"  # noqa: S608
        for id_, kind, first, last, members, put_at, size in self._db.execute(select, values).fetchall():
            ranges = tuple((a, b) for a, b in json.loads(members))
            yield StoredSegment(id_, KINDS[kind], first, last, ranges, put_at, size)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn SQLite's errors into the two that matter: try again later, or begin anew."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        # SQLite calls full, read-only, I/O and busy operational; a page that makes no sense, it does not always.
        if any(word in str(error) for word in ("malformed", "not a database", "no such table", "no such column")):
            raise StoreDamaged(str(error)) from error
        raise StoreUnavailable(str(error)) from error
    except (sqlite3.DatabaseError, ValueError, TypeError, IndexError, KeyError) as error:
        raise StoreDamaged(str(error)) from error
