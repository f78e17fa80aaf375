"""Writes the SQL of all tables as they are now: what the first migration was made with.

    python -m edgesdk.fleet.store.migrations.draft sqlite > versions/first_sqlite.sql

Later migrations are written by hand or by Alembic's own `op`; this one is long because it is the whole.
"""

from __future__ import annotations

import sys

from sqlalchemy import Index, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateIndex, CreateTable

from edgesdk.fleet.store.tables import BY_DAY, metadata, records, samples


def statements(dialect: Dialect) -> list[str]:
    """Return what makes every table and index, in an order in which it can be run."""
    made = []
    for table in metadata.sorted_tables:
        made.append(_table(table, dialect))
        if dialect.name == "postgresql" and table in BY_DAY:
            # Days that nobody made a partition for: a device's clock may be anywhere.
            made.append(f"CREATE TABLE {table.name}_other PARTITION OF {table.name} DEFAULT")
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [_index(index, dialect) for index in indexes]
    return made


def _table(table: Table, dialect: Dialect) -> str:
    sql = str(CreateTable(table).compile(dialect=dialect)).strip().replace("\t", "    ").replace(" \n", "\n")
    if dialect.name != "postgresql" or table not in BY_DAY:
        return sql
    # A key of a partitioned table holds the column that it is partitioned by. A record is found by its place.
    lines = [line for line in sql.splitlines() if table is not records or "PRIMARY KEY" not in line]
    sql = "\n".join(lines).replace(",\n)", "\n)")
    if table is samples:
        sql = sql.replace("PRIMARY KEY (id)", "PRIMARY KEY (id, at_ms)")
    return f"{sql} PARTITION BY RANGE (at_ms)"


def _index(index: Index, dialect: Dialect) -> str:
    sql = str(CreateIndex(index).compile(dialect=dialect))
    unique_by_day = dialect.name == "postgresql" and index.table in BY_DAY and index.unique
    return sql.replace("seq)", "seq, at_ms)") if unique_by_day else sql


if __name__ == "__main__":
    chosen = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}[sys.argv[1]]
    sys.stdout.write(";\n\n".join(statements(chosen())) + ";\n")
