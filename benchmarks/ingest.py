"""How fast reports get into the store: SQLite and PostgreSQL beside a bare `executemany` and a bare COPY of the same rows.

    python benchmarks/ingest.py [--json FILE] [--rows N]

All are measured by turns on the same disk, with a sync for each commit; a commit is one report each of 500 devices. The
bare ones only write rows: no device is looked up, nothing is told from what came twice, nothing is noted as settled. So
the ratio says what that costs. PostgreSQL is a server of our own in a temporary folder, with its own settings.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.ingest import Ingest

DEVICES = 500
TURNS = 3
NOW_MS = int(time.time() * 1000)
BODY = '{"schema":"result/1",' + "x" * 410 + "}"
_TABLE = (
    "CREATE TABLE bare (stream BIGINT NOT NULL, seq BIGINT NOT NULL, node BIGINT NOT NULL, kind INTEGER NOT NULL,"
    " at_ms BIGINT NOT NULL, received_ms BIGINT NOT NULL, camera TEXT, labels TEXT, body TEXT NOT NULL)"
)
# The same indexes as the store's own table.
_INDEXES = (
    "UNIQUE INDEX bare_place ON bare (stream, seq)",
    "INDEX bare_node ON bare (node, at_ms)",
    "INDEX bare_time ON bare (at_ms)",
)
Commit = Callable[[int], None]


def _reading(seq: int) -> Reading:
    return Reading(
        records=[
            Record(Stream(f"shop.cam{d}", "e1"), seq, Kind.RESULT, NOW_MS + seq, BODY, camera="door", labels="|person|")
            for d in range(DEVICES)
        ]
    )


def _rows(seq: int) -> list[tuple[object, ...]]:
    return [(d, seq, d, 1, NOW_MS + seq, NOW_MS, "door", "|person|", BODY) for d in range(DEVICES)]


@contextlib.contextmanager
def store(url: str) -> Iterator[Commit]:
    """Give a commit into our store."""
    opened = Ingest(url)
    try:
        yield lambda seq: _all_new(opened, seq)
    finally:
        opened.close()


def _all_new(opened: Ingest, seq: int) -> None:
    assert sum(opened.commit(_reading(seq)).stored.values()) == DEVICES  # noqa: S101


@contextlib.contextmanager
def bare_sqlite(path: Path) -> Iterator[Commit]:
    """Give a commit of the same rows by `executemany`."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
        _TABLE,
        *(f"CREATE {i}" for i in _INDEXES),
    ):
        connection.execute(statement)

    def commit(seq: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT INTO bare VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", _rows(seq))
        connection.execute("COMMIT")

    yield commit
    connection.close()


@contextlib.contextmanager
def bare_postgresql(url: str, *, copy: bool) -> Iterator[Commit]:
    """Give a commit of the same rows by `executemany` or COPY."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in ("DROP TABLE IF EXISTS bare", _TABLE, *(f"CREATE {index}" for index in _INDEXES)):
            connection.execute(statement)

        def commit(seq: int) -> None:
            with connection.transaction(), connection.cursor() as cursor:
                if not copy:
                    cursor.executemany("INSERT INTO bare VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", _rows(seq))
                    return
                with cursor.copy("COPY bare FROM STDIN") as rows:
                    for row in _rows(seq):
                        rows.write_row(row)

        yield commit


def rate(subject: contextlib.AbstractContextManager[Commit], rows: int) -> float:
    """Return rows a second; the first commit, which makes devices and partitions, is not counted."""
    with subject as commit:
        commit(1)
        count = max(1, rows // DEVICES)
        began = time.perf_counter()
        for seq in range(2, count + 2):
            commit(seq)
        return count * DEVICES / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--rows", type=int, default=20_000, help="of each turn")
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        new_database = _postgresql(stack)
        for turn in range(TURNS):
            subjects: dict[str, contextlib.AbstractContextManager[Commit]] = {
                "sqlite_store": store(str(Path(name) / f"store{turn}.db")),
                "sqlite_executemany": bare_sqlite(Path(name) / f"bare{turn}.db"),
            }
            if new_database is not None:
                subjects["postgresql_store"] = store(new_database(f"store{turn}"))
                subjects["postgresql_executemany"] = bare_postgresql(new_database(f"many{turn}"), copy=False)
                subjects["postgresql_copy"] = bare_postgresql(new_database(f"copy{turn}"), copy=True)
            for label, subject in subjects.items():
                rates.setdefault(label, []).append(rate(subject, arguments.rows))
    figures: dict[str, object] = {
        "rows_per_s": {label: round(statistics.median(found)) for label, found in rates.items()},
        "ratios": {
            f"{over} / {under}": round(
                statistics.median(a / b for a, b in zip(rates[over], rates[under], strict=True)), 2
            )
            for over, under in (
                ("sqlite_store", "sqlite_executemany"),
                ("postgresql_store", "postgresql_executemany"),
                ("postgresql_store", "postgresql_copy"),
                ("postgresql_store", "sqlite_store"),
            )
            if over in rates and under in rates
        },
        "devices": DEVICES,
        "cores": os.cpu_count(),
    }
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def _postgresql(stack: contextlib.ExitStack) -> Callable[[str], str] | None:
    from edgesdk_testkit.postgresql import running_postgresql

    try:
        return stack.enter_context(running_postgresql()).new_database
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        print(f"Without PostgreSQL: {error}", file=sys.stderr)
        return None


if __name__ == "__main__":
    main()
