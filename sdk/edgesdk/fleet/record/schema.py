"""The tables of a fleet's record, and how a file of them is opened.

Rows are narrow: node and epoch stand in them as one integer. `(stream, seq)` is unique, so that what comes twice is
stored once. `upto` and `ahead` of a stream say what is settled, written in the same transaction as the rows themselves:
what is deleted later for its age stays settled.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from edgesdk_targets.errors import InputError

# "edge", so that `file` and we can tell a record from another application's file.
APPLICATION_ID = 0x65646765
VERSION = 1

TABLES = """
CREATE TABLE node (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    node INTEGER NOT NULL REFERENCES node(id),
    epoch TEXT NOT NULL,
    upto INTEGER NOT NULL DEFAULT 0,
    ahead TEXT NOT NULL DEFAULT '[]',
    UNIQUE (node, epoch)
);
CREATE TABLE record (
    id INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX record_place ON record (stream, seq);
CREATE INDEX record_time ON record (stream, at_ms);
CREATE TABLE gap (
    stream INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    declared_seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    cause TEXT NOT NULL,
    reports TEXT NOT NULL,
    PRIMARY KEY (stream, first, last, declared_seq)
) WITHOUT ROWID;
CREATE TABLE presence (
    node INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (node, kind)
);
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_ms INTEGER NOT NULL,
    topic TEXT NOT NULL,
    reason TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a record; unless `read_only`, make it where there is none.

    Raises:
        InputError: there is none, it is another kind of file, of a later version, or it cannot be opened.
    """
    try:
        if read_only:
            if not path.is_file():
                raise InputError(f"There is no record {path}.", hint=f"edgesdk fleet record --db {path} makes one.")
            connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
        else:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except sqlite3.OperationalError as error:
        raise InputError(f"{path} cannot be opened: {error}.", hint="Look at the folder and its rights.") from error
    try:
        _check(connection, path, read_only=read_only)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise InputError(f"{path} is no record of a fleet: {error}.", hint="Give another --db.") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    # Another process may hold the file for a moment: a copy being made, a reader's checkpoint.
    connection.execute("PRAGMA busy_timeout = 5000")
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
    if application != APPLICATION_ID and not (empty and not read_only):
        raise InputError(f"{path} is a database, but no record of a fleet.", hint="Give another --db.")
    if version > VERSION:
        raise InputError(
            f"{path} was made by a later edgesdk (its version {version}, this one's {VERSION}).",
            hint="pip install --upgrade edgesdk",
        )
    if read_only:
        return
    connection.execute("PRAGMA journal_mode = WAL")
    # Each commit is on the disk before anybody is told: power may fail too, not only this process.
    connection.execute("PRAGMA synchronous = FULL")
    if empty:
        connection.executescript(
            f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID};"
            f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
