"""What a store is opened as: new, of our version, of another, or no store at all."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine

from edgesdk.cli.app import run
from edgesdk.fleet.store import version
from edgesdk.fleet.store.address import parse
from edgesdk.fleet.store.engine import bounded, connect, open_store, reading, writing
from edgesdk.fleet.store.tables import BY_DAY, metadata
from edgesdk_targets.errors import InputError
from edgesdk_testkit.stores import postgresql, store_url

__all__ = ["postgresql", "store_url"]


def _set_version(engine: Engine, to: str) -> None:
    with writing(engine) as connection:
        connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{to}'")
    engine.dispose()


def test_the_migrations_make_what_the_tables_say(store_url: str) -> None:
    engine = open_store(store_url)
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        found = compare_metadata(context, metadata)
        columns = {table.name: {c.name for c in table.columns} for table in metadata.tables.values()}
        for table in BY_DAY:
            rows = connection.exec_driver_sql(f"SELECT * FROM {table.name} LIMIT 0")
            assert set(rows.keys()) == columns[table.name]
    engine.dispose()
    # Keys of PostgreSQL's partitioned tables hold the day, and each has a partition for all other days.
    partitioned = {table.name for table in BY_DAY} | {f"{table.name}_other" for table in BY_DAY}
    assert [one for one in found if not any(name in str(one) for name in partitioned)] == []


def test_stores_of_other_versions_are_refused_with_what_to_do_and_migrate_says_so(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = open_store(store_url)
    _set_version(engine, "9999")
    for opening in (lambda: open_store(store_url), lambda: version.migrate(engine, parse(store_url))):
        with pytest.raises(InputError, match="made by a later edgesdk") as refused:
            opening()
        assert "upgrade" in (refused.value.hint or "")
    assert run(["fleet", "migrate", "--db", store_url]) == 2
    assert run(["fleet", "records", "--db", store_url]) == 2
    assert "9999" in capsys.readouterr().err
    _set_version(engine, version.our_version())
    assert run(["fleet", "migrate", "--db", store_url]) == 0
    assert "which is ours" in capsys.readouterr().err
    open_store(store_url).dispose()


def test_a_store_of_before_is_not_changed_by_a_mere_start(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_store(store_url).dispose()
    # As if this edgesdk knew one more step.
    monkeypatch.setattr(version, "our_version", lambda: "0009")
    with pytest.raises(InputError, match="this edgesdk needs 0009") as refused:
        open_store(store_url)
    assert "fleet migrate" in (refused.value.hint or "")


def test_a_store_of_the_first_version_is_brought_up_with_what_it_holds(
    store_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = connect(parse(store_url))
    version.upgrade(engine, "0001")
    with writing(engine) as connection:
        connection.exec_driver_sql(
            "INSERT INTO enrolments (token_hash, node, created_ms, expires_ms) VALUES ('h', 'shop.a', 1, 2)"
        )
    engine.dispose()
    assert run(["fleet", "enrolments", "--db", store_url]) == 2
    assert "is of version 0001" in capsys.readouterr().err
    assert run(["fleet", "migrate", "--db", store_url]) == 0
    engine = open_store(store_url)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT node, given FROM enrolments").all() == [("shop.a", None)]
    engine.dispose()


def test_a_new_store_that_several_open_at_once_is_made_once(store_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        engines = list(pool.map(lambda _: open_store(store_url), range(4)))
    for engine in engines:
        with reading(engine) as connection:
            assert version.versions(connection).is_ours
        engine.dispose()


def test_a_record_of_before_is_told_from_a_store(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as old:
        old.executescript("""PRAGMA application_id = 1701078885;
            CREATE TABLE node (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE stream (id INTEGER PRIMARY KEY, node INTEGER NOT NULL REFERENCES node(id), epoch TEXT NOT NULL);
            CREATE TABLE record (id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL);
            INSERT INTO node VALUES (7, 'local.gate-1'); INSERT INTO stream VALUES (3, 7, 'e1');
            INSERT INTO record VALUES (1, 3, 1, '{}')""")
    with pytest.raises(InputError, match="own format") as refused:
        open_store(path)
    # What it says is done as it stands there.
    assert refused.value.hint.startswith(f"mv {path} {path}.before ")
    with sqlite3.connect(path) as old:
        assert old.execute(refused.value.hint.split('"')[1]).fetchall() == [("local.gate-1", "{}")]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("mysql://u:secret@host/x", "not supported"),
        ("postgresql://u:secret@127.0.0.1:1/x", "cannot be reached"),
        ("postgresql://u:secret@127.0.0.1:one/x", "no URL"),
        ("sqlite://", "not supported"),
        ("sqlite:///:memory:", "not supported"),
        ("/nowhere/at/all/fleet.db", "cannot be opened"),
    ],
)
def test_a_place_that_is_none_is_told_without_the_password(written: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        open_store(written)
    assert "secret" not in str(refused.value)


def test_what_takes_too_long_is_ended_and_nothing_else(store_url: str) -> None:
    engine = open_store(store_url)
    long = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n"
        if engine.dialect.name == "sqlite"
        else "SELECT pg_sleep(60)"
    )
    with (
        reading(engine) as connection,
        pytest.raises(InputError, match=r"not found within 0\.05 s"),
        bounded(connection, 0.05),
    ):
        connection.exec_driver_sql(long)
    with reading(engine) as connection:
        with bounded(connection, 20):
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
        # Only what is asked within has an end.
        assert connection.exec_driver_sql(long.replace("1000000000", "100000").replace("60", "0.1")).first() is not None
    engine.dispose()


def test_a_store_is_opened_without_what_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import sys; from edgesdk.fleet.store.engine import open_store; open_store(sys.argv[1]).dispose();"
        "print([m for m in ('psycopg', 'gmqtt', 'fastapi', 'rich', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "x.db"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
