"""Work that goes on beside, in one process at a time however many there are: who does it now, and how far it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select, update
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store.engine import is_sqlite, writing
from edgesdk.fleet.store.tables import jobs

LEASE_MS = 60_000


def claim(engine: Engine, name: str, holder: str, now_ms: int, *, every_ms: int = 0) -> bool:
    """Take a job, or keep it; False where another process does it, or it was done less than `every_ms` ago."""
    with writing(engine) as connection:
        row = _row(connection, name)
        if row.holder not in {"", holder} and (row.held_until_ms or 0) > now_ms:
            return False
        # One that ran in the future was noted by a clock that was put back since.
        if every_ms and row.ran_ms is not None and 0 <= now_ms - row.ran_ms < every_ms:
            return False
        connection.execute(
            update(jobs).where(jobs.c.name == name).values(holder=holder, held_until_ms=now_ms + LEASE_MS)
        )
        return True


def finish(engine: Engine, name: str, holder: str, began_ms: int, now_ms: int, problem: str = "") -> None:
    """Note that a job was done, how long it took and what went wrong; it is free for whoever comes first.

    Nothing is noted where it took so long that another process has it by now.
    """
    values = {"ran_ms": now_ms, "took_ms": max(0, now_ms - began_ms), "problem": problem[:500], "holder": ""}
    with writing(engine) as connection:
        connection.execute(update(jobs).where(jobs.c.name == name, jobs.c.holder == holder).values(**values))


def cursor(connection: Connection, name: str) -> int:
    """Return how far a job is, and hold it until the transaction ends."""
    return int(_row(connection, name).cursor)


def move_cursor(connection: Connection, name: str, to: int) -> None:
    """Note how far a job is."""
    connection.execute(update(jobs).where(jobs.c.name == name).values(cursor=to))


def _row(connection: Connection, name: str) -> Row[Any]:
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    connection.execute(insert(jobs).values(name=name).on_conflict_do_nothing())
    return connection.execute(select(jobs).where(jobs.c.name == name).with_for_update()).one()
