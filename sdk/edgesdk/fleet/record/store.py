"""The record of a fleet in one SQLite file: what is committed stays, whatever dies next.

One process writes a file; any number may read it meanwhile. A commit writes rows and what is settled by them together,
so the watermark can never run ahead of the rows.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import sqlite3
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgesdk.fleet.record import quarantine
from edgesdk.fleet.record.batch import DeclaredGap, Kind, Reading, Record, Stream
from edgesdk.fleet.record.coverage import Coverage, Range, ranges_of
from edgesdk.fleet.record.schema import connect
from edgesdk_targets.errors import InputError

# Streams whose coverage is held in memory; others are read again when they speak.
_REMEMBERED_STREAMS = 20_000


@dataclass(frozen=True, slots=True)
class Committed:
    """What one commit did.

    Attributes:
        coverage: of every stream that it touched, as it is now.
        repeated: streams that show that they did not hear the last word: they sent what was settled, or are born.
        stored: records that are new, by stream.
        duplicates, refused: records that were there; messages put into quarantine.
        lost: reports newly declared lost.
    """

    coverage: Mapping[Stream, Coverage]
    repeated: frozenset[Stream]
    stored: Mapping[Stream, int]
    duplicates: int
    refused: int
    lost: int


@dataclass(slots=True)
class _Known:
    """One stream as the file has it."""

    id: int
    node_id: int
    coverage: Coverage


class Store:
    """A record that is being written.

    Args:
        path: the file; made where there is none.
        wall: seconds since 1970.

    Raises:
        InputError: the file cannot be used, or another process writes it.
    """

    def __init__(self, path: Path, *, wall: Callable[[], float] = time.time) -> None:
        self.path = path
        self._wall = wall
        self._streams: OrderedDict[Stream, _Known] = OrderedDict()
        self._lock = _claim(path)
        try:
            self._connection = connect(path)
        except BaseException:
            self._lock.close()
            raise
        self.recorder_id = self._own_id()

    def coverage(self, stream: Stream) -> Coverage:
        """Return what is settled of a stream; of an unknown one, nothing."""
        known = self._known(stream)
        return known.coverage if known is not None else Coverage()

    def commit(self, reading: Reading) -> Committed:
        """Write everything that was read, on the disk when this returns.

        Raises:
            sqlite3.Error: nothing of it is written.
        """
        received_ms = int(self._wall() * 1000)
        with self._transaction() as cursor:
            known = {stream: self._known_or_new(cursor, stream) for stream in _streams(reading)}
            # Who was born on a new connection may not have heard the last word either.
            repeated = frozenset(
                [r.stream for r in reading.records if r.seq in known[r.stream].coverage]
                + [p.stream for p in reading.presences if p.kind is Kind.BIRTH]
            )
            stored = _insert_records(cursor, reading.records, known, received_ms)
            lost = _insert_gaps(cursor, reading.gaps, known)
            for said in reading.presences:
                cursor.execute(
                    "INSERT OR REPLACE INTO presence VALUES (?, ?, ?, ?, ?)",
                    (known[said.stream].node_id, int(said.kind), said.at_ms, received_ms, said.body),
                )
            quarantine.insert(cursor, reading.refusals, received_ms)
            coverage = {stream: known[stream].coverage for stream in known}
            for stream, ranges in _settled(reading).items():
                coverage[stream] = coverage[stream].settle(ranges)
                if coverage[stream] != known[stream].coverage:
                    _write_coverage(cursor, known[stream].id, coverage[stream])
        for stream, now in coverage.items():
            known[stream].coverage = now
            self._remember(stream, known[stream])
        duplicates = len(reading.records) - sum(stored.values())
        return Committed(coverage, repeated, stored, duplicates, len(reading.refusals), lost)

    def close(self) -> None:
        """Close the file. May be called twice."""
        self._connection.close()
        self._lock.close()

    def _known(self, stream: Stream) -> _Known | None:
        known = self._streams.get(stream)
        if known is not None:
            self._streams.move_to_end(stream)
            return known
        row = self._connection.execute(
            "SELECT stream.id, node.id, upto, ahead FROM stream JOIN node ON node.id = stream.node"
            " WHERE node.name = ? AND epoch = ?",
            stream,
        ).fetchone()
        if row is None:
            return None
        stream_id, node_id, upto, ahead = row
        return _Known(stream_id, node_id, Coverage(upto, tuple((first, last) for first, last in json.loads(ahead))))

    def _known_or_new(self, cursor: sqlite3.Cursor, stream: Stream) -> _Known:
        known = self._known(stream)
        if known is not None:
            return known
        cursor.execute("INSERT OR IGNORE INTO node (name) VALUES (?)", (stream.node,))
        node_id = cursor.execute("SELECT id FROM node WHERE name = ?", (stream.node,)).fetchone()[0]
        cursor.execute("INSERT INTO stream (node, epoch) VALUES (?, ?)", (node_id, stream.epoch))
        return _Known(cursor.lastrowid or 0, node_id, Coverage())

    def _remember(self, stream: Stream, known: _Known) -> None:
        self._streams[stream] = known
        self._streams.move_to_end(stream)
        if len(self._streams) > _REMEMBERED_STREAMS:
            self._streams.popitem(last=False)

    def _own_id(self) -> str:
        """Return the name under which the broker knows who writes this file, the same after each start."""
        with self._transaction() as cursor:
            cursor.execute("INSERT OR IGNORE INTO meta VALUES ('recorder_id', ?)", (secrets.token_hex(6),))
            return str(cursor.execute("SELECT value FROM meta WHERE key = 'recorder_id'").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            yield cursor
            cursor.execute("COMMIT")
        except BaseException:
            # What is remembered may hold numbers of rows that are not there now. SQLite may have rolled back by itself.
            self._streams.clear()
            with suppress(sqlite3.Error):
                cursor.execute("ROLLBACK")
            raise
        finally:
            cursor.close()


def _claim(path: Path) -> _Lock:
    try:
        return _Lock(path)
    except BlockingIOError as error:
        raise InputError(f"Another recorder writes {path}.", hint="Stop it first, or give another --db.") from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", hint="Look at the folder and its rights."
        ) from error


class _Lock:
    """A claim on the file that ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._file = path.with_name(path.name + "-recorder").open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        self._file.close()


def _streams(reading: Reading) -> Iterable[Stream]:
    streams = dict.fromkeys(r.stream for r in reading.records)
    streams |= dict.fromkeys(g.stream for g in reading.gaps)
    streams |= dict.fromkeys(p.stream for p in reading.presences)
    streams |= dict.fromkeys(r.stream for r in reading.refusals if r.stream is not None)
    return streams


def _settled(reading: Reading) -> dict[Stream, list[Range]]:
    seqs: defaultdict[Stream, list[int]] = defaultdict(list)
    for record in reading.records:
        seqs[record.stream].append(record.seq)
    for refusal in reading.refusals:
        if refusal.stream is not None:
            seqs[refusal.stream].append(refusal.seq)
    settled = {stream: ranges_of(numbers) for stream, numbers in seqs.items()}
    for gap in reading.gaps:
        settled.setdefault(gap.stream, []).append(gap.span)
    return settled


def _insert_records(
    cursor: sqlite3.Cursor, records: list[Record], known: Mapping[Stream, _Known], received_ms: int
) -> dict[Stream, int]:
    """Write the records that are not there yet; return how many those are, by stream."""
    rows: defaultdict[Stream, list[tuple[object, ...]]] = defaultdict(list)
    for r in records:
        rows[r.stream].append((known[r.stream].id, r.seq, int(r.kind), r.at_ms, received_ms, r.body))
    stored = {}
    for stream, of_stream in rows.items():
        cursor.executemany(
            "INSERT OR IGNORE INTO record (stream, seq, kind, at_ms, received_ms, body) VALUES (?, ?, ?, ?, ?, ?)",
            of_stream,
        )
        stored[stream] = max(0, cursor.rowcount)
    return stored


def _insert_gaps(cursor: sqlite3.Cursor, gaps: list[DeclaredGap], known: Mapping[Stream, _Known]) -> int:
    lost = 0
    for gap in gaps:
        cursor.execute(
            "INSERT OR IGNORE INTO gap VALUES (?, ?, ?, ?, ?, ?, ?)",
            (known[gap.stream].id, *gap.span, gap.declared_seq, gap.at_ms, gap.cause, json.dumps(dict(gap.reports))),
        )
        lost += sum(gap.reports.values()) if cursor.rowcount > 0 else 0
    return lost


def _write_coverage(cursor: sqlite3.Cursor, stream_id: int, coverage: Coverage) -> None:
    cursor.execute(
        "UPDATE stream SET upto = ?, ahead = ? WHERE id = ?", (coverage.upto, json.dumps(coverage.ahead), stream_id)
    )
