"""The kinds of columns that all tables are made of.

Times are whole milliseconds since 1970 in UTC, in columns that end in `_ms`: the same number in SQLite, PostgreSQL, JSON
and a browser. Flags are times too where one will ask since when (`revoked_ms`, null while it is not).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Integer, MetaData, Text
from sqlalchemy.sql.schema import SchemaItem

# SQLite gives out row ids by itself only where the column is called INTEGER.
Id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def row_id() -> Column[int]:
    """Return the column `id` that the database numbers."""
    return Column("id", Id, primary_key=True, autoincrement=True)


def reference(name: str, target: str, **options: Any) -> Column[int]:
    """Return a column that holds the id of a row of another table; the row goes when that one goes."""
    return Column(name, Id, ForeignKey(f"{target}.id", ondelete="CASCADE"), **options)


def text(name: str, *more: SchemaItem, **options: Any) -> Column[str]:
    """Return a column of text; empty unless told otherwise."""
    if not options.get("primary_key") and not options.get("nullable"):
        options = {"nullable": False, "server_default": "", **options}
    return Column(name, Text, *more, **options)


def number(name: str, **options: Any) -> Column[int]:
    """Return a column of whole numbers; 0 unless told otherwise."""
    if not options.get("nullable"):
        options = {"nullable": False, "server_default": "0", **options}
    return Column(name, BigInteger, **options)


def moment(name: str, *, nullable: bool = True, **options: Any) -> Column[int]:
    """Return a column that holds a time, in milliseconds since 1970."""
    return Column(name, BigInteger, nullable=nullable, **options)


def document(name: str, **options: Any) -> Column[Any]:
    """Return a column that holds a JSON value."""
    return Column(name, JSON(none_as_null=True), **{"nullable": True, **options})
