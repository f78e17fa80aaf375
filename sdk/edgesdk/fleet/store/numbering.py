"""How far the numbers of rows are, which outlives the rows: the roll-up goes by them, and a number is given once.

A store whose samples are all gone for their age still counts on. What is restored from a backup must too, or its new
samples would stand below what counts as rolled up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, func, select, text

from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.rollups import JOB
from edgesdk.fleet.store.tables import jobs, metadata, samples


def positions(connection: Connection) -> dict[str, int]:
    """Return the last number that each table gave out, of the tables that count on."""
    if is_sqlite(connection):
        return {name: int(last) for name, last in connection.exec_driver_sql("SELECT name, seq FROM sqlite_sequence")}
    found = {}
    for name, sequence in _sequences(connection, (table.name for table in metadata.sorted_tables)).items():
        last, is_called = connection.exec_driver_sql(f"SELECT last_value, is_called FROM {sequence}").one()  # noqa: S608
        if is_called:
            found[name] = int(last)
    return found


def count_on(connection: Connection, tables: Iterable[str], told: Mapping[str, int]) -> None:
    """Let each table's next number be above all that were given out, here and in the store that was backed up.

    Args:
        tables: that were filled.
        told: positions from the backup; one of an earlier edgesdk has none.
    """
    rolled = connection.execute(
        select(func.coalesce(func.max(jobs.c.cursor), 0)).where(jobs.c.name == JOB)
    ).scalar_one()
    told = {**told, samples.name: max(told.get(samples.name, 0), rolled)}
    if is_sqlite(connection):
        for name in tables:
            if metadata.tables[name].dialect_options["sqlite"]["autoincrement"]:
                _set_sqlite(connection, name, told.get(name, 0))
        return
    for name, sequence in _sequences(connection, tables).items():
        highest = connection.execute(text(f"SELECT coalesce(max(id), 0) FROM {name}")).scalar_one()  # noqa: S608
        upto = max(highest, told.get(name, 0))
        if upto:
            connection.execute(text("SELECT setval(:sequence, :upto)"), {"sequence": sequence, "upto": upto})


def _set_sqlite(connection: Connection, table: str, told: int) -> None:
    given = {"table": table, "told": told}
    here = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), given).scalar()
    if told > (here or 0):
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), given)
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :told)"), given)


def _sequences(connection: Connection, tables: Iterable[str]) -> dict[str, str]:
    """Return the sequence of each table of PostgreSQL that has one."""
    found = {}
    for name in tables:
        if "id" in metadata.tables[name].columns:
            asked = text("SELECT pg_get_serial_sequence(:table, 'id')")
            sequence = connection.execute(asked, {"table": name}).scalar()
            if sequence is not None:
                found[name] = str(sequence)
    return found
