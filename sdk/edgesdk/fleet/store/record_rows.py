"""Puts many rows into the large tables at once: what costs the time of a commit.

SQLite takes them by the thousand (`many_rows`), PostgreSQL by COPY. What is stored already was left out before: a stream's
row is locked, or its file claimed, so nobody else adds to it meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection

from edgesdk.fleet.store.batch import Record, SampleRow
from edgesdk.fleet.store.figures import FIGURES
from edgesdk.fleet.store.lines import Line
from edgesdk.fleet.store.many_rows import with_values
from edgesdk.fleet.store.partitions import Partitions

_RECORD = ("stream", "seq", "node", "kind", "at_ms", "received_ms", "camera", "labels", "body")
_SAMPLE = ("node", "at_ms", *(figure.name for figure in FIGURES), "latency_ms", "dropped_by_cause")


class Placed(NamedTuple):
    """A record and the line that it belongs to; `doubtful` where it may be stored already."""

    line: Line
    record: Record
    doubtful: bool = False


class RecordRows(Protocol):
    """How rows get into one kind of database."""

    def add_records(self, connection: Connection, placed: Sequence[Placed], received_ms: int) -> list[Placed]:
        """Write records, and return those that were not there."""
        ...

    def add_samples(self, connection: Connection, rows: Sequence[tuple[int, SampleRow]]) -> None:
        """Write samples, each with its device's number."""
        ...

    def write_coverage(self, connection: Connection, rows: Sequence[tuple[int, str, int]]) -> None:
        """Write what is settled: `upto`, `ahead` as JSON, and the stream's number."""
        ...


class SqliteRows:
    """Rows into a file."""

    _INSERT_RECORDS = f"INSERT INTO records ({', '.join(_RECORD)}) VALUES {{rows}}"  # noqa: S608
    _INSERT_SAMPLES = f"INSERT INTO samples ({', '.join(_SAMPLE)}) VALUES {{rows}}"  # noqa: S608
    _COVER = (
        "WITH n (upto, ahead, id) AS (VALUES {rows})"
        " UPDATE streams SET upto = n.upto, ahead = n.ahead FROM n WHERE streams.id = n.id"
    )

    def add_records(self, connection: Connection, placed: Sequence[Placed], received_ms: int) -> list[Placed]:
        new = [one for one in placed if not (one.doubtful and self._is_here(connection, one))]
        with_values(connection, self._INSERT_RECORDS, [_record_row(one, received_ms) for one in new])
        return new

    def add_samples(self, connection: Connection, rows: Sequence[tuple[int, SampleRow]]) -> None:
        with_values(connection, self._INSERT_SAMPLES, [_sample_row(*row) for row in rows])

    def write_coverage(self, connection: Connection, rows: Sequence[tuple[int, str, int]]) -> None:
        with_values(connection, self._COVER, rows)

    def _is_here(self, connection: Connection, one: Placed) -> bool:
        place = (one.line.id, one.record.seq)
        return bool(connection.exec_driver_sql("SELECT 1 FROM records WHERE stream = ? AND seq = ?", place).first())


class PostgresqlRows:
    """Rows into PostgreSQL, each day's into its partition."""

    _HERE = (
        "SELECT r.stream, r.seq FROM unnest(%s::bigint[], %s::bigint[]) AS asked(stream, seq)"
        " JOIN records r ON r.stream = asked.stream AND r.seq = asked.seq"
    )
    _COVER = (
        "UPDATE streams SET upto = n.upto, ahead = n.ahead"
        " FROM unnest(%s::bigint[], %s::text[], %s::bigint[]) AS n(upto, ahead, id) WHERE streams.id = n.id"
    )

    def __init__(self) -> None:
        self._partitions = Partitions()

    def add_records(self, connection: Connection, placed: Sequence[Placed], received_ms: int) -> list[Placed]:
        new = self._not_here(connection, placed)
        if new:
            self._partitions.make_for(connection, "records", (one.record.at_ms for one in new), received_ms)
            _copy(connection, "records", _RECORD, (_record_row(one, received_ms) for one in new))
        return new

    def add_samples(self, connection: Connection, rows: Sequence[tuple[int, SampleRow]]) -> None:
        if not rows:
            return
        self._partitions.make_for(connection, "samples", (row.at_ms for _, row in rows), None)
        # The roll-up goes by rows' numbers, and waits for this lock to know that no lower one is still to come.
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock_shared(%s)", (SAMPLES_LOCK,))
        _copy(connection, "samples", _SAMPLE, (_sample_row(*row) for row in rows))

    def write_coverage(self, connection: Connection, rows: Sequence[tuple[int, str, int]]) -> None:
        if rows:
            connection.exec_driver_sql(self._COVER, tuple(list(column) for column in zip(*rows, strict=True)))

    def _not_here(self, connection: Connection, placed: Sequence[Placed]) -> list[Placed]:
        """Leave out doubtful ones that are stored.

        The tables' own key does not tell: it holds the time, and a device that has no clock of its own says the same
        report at another time each time that it comes.
        """
        doubtful = [(one.line.id, one.record.seq) for one in placed if one.doubtful]
        if not doubtful:
            return list(placed)
        asked = [list(column) for column in zip(*doubtful, strict=True)]
        here = {tuple(row) for row in connection.exec_driver_sql(self._HERE, tuple(asked))}
        return [one for one in placed if not (one.doubtful and (one.line.id, one.record.seq) in here)]


# Of PostgreSQL's advisory locks: shared by whoever adds samples.
SAMPLES_LOCK = 0x65646766


def rows_for(connection: Connection) -> RecordRows:
    """Return how rows get into this database."""
    return SqliteRows() if connection.dialect.name == "sqlite" else PostgresqlRows()


def _record_row(one: Placed, received_ms: int) -> tuple[Any, ...]:
    r = one.record
    # A kind's number as a plain one: drivers look for a while at what is more than that.
    return (one.line.id, r.seq, one.line.node_id, r.kind.real, r.at_ms, received_ms, r.camera, r.labels, r.body)


def _sample_row(node: int, row: SampleRow) -> tuple[Any, ...]:
    return (node, row.at_ms, *row.figures, row.latency_ms, row.dropped_by_cause)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    raw: Any = connection.connection.driver_connection
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
