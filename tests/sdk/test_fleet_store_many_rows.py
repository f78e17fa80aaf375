"""Commits of many rows: few statements, whatever their number, as each may cost a turn of the interpreter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from edgesdk.fleet.collect.thread_turns import short_turns
from edgesdk.fleet.store.batch import Kind, Reading, Record, Stream
from edgesdk.fleet.store.engine import reading
from edgesdk.fleet.store.ingest import Ingest
from edgesdk.fleet.store.many_rows import with_values
from edgesdk_testkit.reports import NOW_MS, birth, reading_of, telemetry
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]

DEVICES = 700


@pytest.mark.parametrize("rows", [0, 1, 15, 16, 17, 128, 129, 500, 1023, 2049])
def test_every_row_is_written_once_whatever_their_number(rows: int) -> None:
    with create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT, c INTEGER DEFAULT 0)")
        with_values(connection, "INSERT INTO t (a, b) VALUES {rows}", [(n, str(n)) for n in range(rows)])
        changed = "INSERT INTO t (a, b) VALUES {rows} ON CONFLICT (a) DO UPDATE SET c = ?"
        with_values(connection, changed, [(n, "") for n in range(0, rows, 2)], (7,))
        found = connection.exec_driver_sql("SELECT a, b, c FROM t ORDER BY a").all()
    assert found == [(n, str(n), 0 if n % 2 else 7) for n in range(rows)]


def test_wide_rows_go_in_by_as_many_as_a_statement_takes_values_of() -> None:
    columns = [f"c{number}" for number in range(60)]
    with create_engine("sqlite://").connect() as connection:
        connection.exec_driver_sql(f"CREATE TABLE t ({', '.join(columns)})")
        with_values(connection, "INSERT INTO t VALUES {rows}", [(n,) * 60 for n in range(1500)])
        assert connection.exec_driver_sql("SELECT count(*), sum(c0), sum(c59) FROM t").one() == (1500, 1124250, 1124250)


def test_a_commit_to_a_file_is_few_statements(tmp_path: Path) -> None:
    store = Ingest(tmp_path / "fleet.db", wall=lambda: NOW_MS / 1000)
    streams = [Stream(f"shop.d{number}", "e1") for number in range(DEVICES)]
    store.commit(Reading(records=[Record(stream, 1, Kind.RESULT, NOW_MS, "{}") for stream in streams]))
    said: list[str] = []
    raw: Any = store.connection.connection.driver_connection
    raw.set_trace_callback(said.append)
    done = store.commit(Reading(records=[Record(stream, 2, Kind.RESULT, NOW_MS, "{}") for stream in streams]))
    store.close()
    assert sum(done.stored.values()) == DEVICES
    # Records, what is settled, how devices are: each 128 rows at a time, then 16, then one by one.
    assert len(said) < 3 * (DEVICES // 128 + 8 + 16) + 10


def test_devices_that_are_born_speak_and_report_in_one_commit_are_what_they_said(store_url: str) -> None:
    store = Ingest(store_url, wall=lambda: NOW_MS / 1000)
    names = [f"shop.d{number}" for number in range(40)]
    store.commit(reading_of(*(birth(name, NOW_MS) for name in names)))
    done = store.commit(reading_of(*(telemetry(name, 1, NOW_MS, fps=25.0) for name in names), received_ms=NOW_MS))
    assert sum(done.stored.values()) == len(names)
    with reading(store.engine) as connection:
        said = connection.exec_driver_sql(
            "SELECT n.name, now.said, now.boot_id <> '', now.fps, s.upto FROM nodes n"
            " JOIN now ON now.node = n.id JOIN streams s ON s.node = n.id ORDER BY n.name"
        ).all()
    store.close()
    assert [tuple(row) for row in said] == [(name, "online", True, 2500, 1) for name in sorted(names)]


def test_threads_take_shorter_turns_while_it_records_and_their_own_afterwards() -> None:
    before = sys.getswitchinterval()
    try:
        # As Python has it: another test of this process may have left an agent's.
        sys.setswitchinterval(0.005)
        with short_turns():
            assert sys.getswitchinterval() < 0.001
        assert sys.getswitchinterval() == pytest.approx(0.005)
    finally:
        sys.setswitchinterval(before)
