"""Days of PostgreSQL's large tables: made before the first row comes, dropped whole when they are too old.

A day is made only near the present. What a device with an absurd clock says goes to the partition for all others, where
retention finds it.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

DAY_MS = 86_400_000
# How far from the present a day may lie that gets a partition of its own.
_PAST_DAYS = 40
_FUTURE_DAYS = 2
# Of the catalogue itself: `to_regclass` remembers, within a transaction, that there was no such table a moment ago.
_THERE = "SELECT 1 FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid)"


class Partitions:
    """Remembers which days have their partition; for one writer."""

    def __init__(self) -> None:
        self._made: set[tuple[str, int]] = set()
        self._today = 0

    def make_for(self, connection: Connection, table: str, times_ms: Iterable[int], now_ms: int | None) -> None:
        """Make the partitions that rows of these times need.

        Args:
            now_ms: the present; None: as in the last call.
        """
        if now_ms is not None:
            self._today = now_ms // DAY_MS
        for day in {at // DAY_MS for at in times_ms}:
            near = self._today - _PAST_DAYS <= day <= self._today + _FUTURE_DAYS
            if near and (table, day) not in self._made:
                make(connection, table, day)
                self._made.add((table, day))


def make(connection: Connection, table: str, day: int) -> None:
    """Make the partition of one day, with what of it lies among the others; nothing where it is there."""
    name, first, last = f"{table}_{day}", day * DAY_MS, (day + 1) * DAY_MS
    if connection.exec_driver_sql(_THERE, (name,)).first():
        return
    # Two collectors make the same day at the same moment.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext(%s))", (name,))
    if connection.exec_driver_sql(_THERE, (name,)).first():
        return
    others = f"{table}_other"
    connection.exec_driver_sql(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS)")
    moved = f"WITH moved AS (DELETE FROM {others} WHERE at_ms >= {first} AND at_ms < {last} RETURNING *)"  # noqa: S608
    connection.exec_driver_sql(f"{moved} INSERT INTO {name} SELECT * FROM moved")  # noqa: S608
    connection.exec_driver_sql(f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({last})")


def days(connection: Connection, table: str) -> list[int]:
    """Return the days that have a partition, the oldest first."""
    rows = connection.exec_driver_sql(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = %s::regclass",
        (table,),
    )
    numbers = [name.removeprefix(f"{table}_") for (name,) in rows]
    return sorted(int(number) for number in numbers if number.isdigit())


def drop_before(connection: Connection, table: str, before_ms: int, *, last_id: int | None = None) -> int:
    """Drop the partitions that lie wholly before a time; return how many.

    Args:
        last_id: those stay that hold a row with a higher number.
    """
    old = [day for day in days(connection, table) if (day + 1) * DAY_MS <= before_ms]
    if last_id is not None:
        old = [day for day in old if not _has_above(connection, f"{table}_{day}", last_id)]
    for day in old:
        connection.exec_driver_sql(f"DROP TABLE {table}_{day}")
    return len(old)


def _has_above(connection: Connection, partition: str, last_id: int) -> bool:
    found = connection.exec_driver_sql(f"SELECT 1 FROM {partition} WHERE id > {last_id} LIMIT 1")  # noqa: S608
    return found.first() is not None
