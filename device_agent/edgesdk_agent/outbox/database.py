"""The outbox's database file: SQLite in WAL mode, one caller at a time; sqlite3 lives only here.

Every transaction ends with a sync. Three tables hold what is kept: `rows`, single reports; `segments`, packed ones of one kind,
whose bodies lie apart so that looking for one does not read them all; `gaps`, the ledger.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, deflated INTEGER NOT NULL, put_at REAL NOT NULL,
                   body BLOB NOT NULL, checksum INTEGER);
CREATE TABLE segments (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
                       members TEXT NOT NULL, put_at REAL NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX segments_by_last ON segments (kind, last);
CREATE TABLE bodies (id INTEGER PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER);
CREATE TABLE gaps (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, cause TEXT NOT NULL, reports TEXT NOT NULL,
                   told_by INTEGER NOT NULL);
PRAGMA user_version = 4;
"""
_VERSION = 4
# What was written before there were checksums has none.
_FROM_VERSION_2 = """
ALTER TABLE rows ADD COLUMN checksum INTEGER;
ALTER TABLE bodies ADD COLUMN checksum INTEGER;
PRAGMA user_version = 4;
"""
# A program of version 3 cannot read bodies that are tables; those that it wrote are read.
_FROM_VERSION_3 = "PRAGMA user_version = 4;"
_UPDATES = {2: _FROM_VERSION_2, 3: _FROM_VERSION_3}
# The log is written back when it is so long: rarely enough for a card, often enough for a small one.
_LOG_BYTES = 128 << 10


class StoreDamaged(Exception):
    """The file is not a database of ours, or not any more."""


class StoreUnavailable(Exception):
    """The file cannot be written now: the disk is full, read-only or failing, or another process has the file."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file without Python's own transactions; nobody else may read it, and its log is made like it."""
    # What fails here fails below too, with SQLite's reason.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        path.chmod(0o600)
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.2)


class Database:
    """One open database. Methods raise StoreDamaged or StoreUnavailable, and nothing else of SQLite's."""

    def __init__(self, path: Path) -> None:
        """Open or make the file."""
        self._path = path
        self.written_bytes = 0
        self._log_bytes = 0
        with explained():
            self._db = connect(path)
        try:
            with explained(), parsed():
                self._set_up()
                self.meta = dict(self._db.execute("SELECT key, value FROM meta"))
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        # Exclusive: a second agent on the same file is refused, and no shared memory is mapped.
        self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
        # Small pages: a commit writes whole ones, and mostly holds one report.
        self._db.execute("PRAGMA page_size = 512")
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA wal_autocheckpoint = 0")
        self._db.execute("PRAGMA cache_size = -1024")
        # Some systems build SQLite so that each page which is given free is written once more, as zeros.
        self._db.execute("PRAGMA secure_delete = OFF")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")
        elif version in _UPDATES:
            self._db.executescript(f"BEGIN IMMEDIATE;{_UPDATES[version]}COMMIT;")
        elif version != _VERSION:
            raise StoreDamaged(f"it is of version {version}, and this program reads {_VERSION}")
        if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise StoreDamaged("its pages do not fit together")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, synced at its end."""
        meta = dict(self.meta)
        with explained():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            with explained():
                yield
                self._db.execute("COMMIT")
        except BaseException:
            self.meta = meta
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

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._db.close()


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn SQLite's errors into the two that matter: try again later, or begin anew.

    A wrong call, and whatever is not SQLite's, is a fault of ours and passes: no file is given up for that.
    """
    try:
        yield
    except sqlite3.ProgrammingError:
        raise
    except (sqlite3.OperationalError, OSError) as error:
        # SQLite calls full, read-only, I/O and busy operational; a page that makes no sense, it does not always.
        if any(word in str(error) for word in ("malformed", "not a database", "no such table", "no such column")):
            raise StoreDamaged(str(error)) from error
        raise StoreUnavailable(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise StoreDamaged(str(error)) from error


@contextlib.contextmanager
def parsed() -> Iterator[None]:
    """Tell of a stored value that makes no sense; for reading alone, as it takes any fault within for one of the file."""
    try:
        yield
    except (ValueError, TypeError, IndexError, KeyError) as error:
        raise StoreDamaged(f"a stored value makes no sense: {error}") from error
