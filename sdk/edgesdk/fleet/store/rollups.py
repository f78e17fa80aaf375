"""Minutes and hours from samples: what charts of more than an hour are drawn from.

The roll-up goes by the numbers of samples, which grow in the order of commits, and adds what is new to what is there: so
late data, be it three days, get into their minutes by themselves, whatever retention took meanwhile; and a process that
dies between two steps has counted nothing twice, as the rows and the number up to which they go are one transaction.

Device 0 is the whole fleet: a minute of it counts devices instead of samples, and its sums are sums of devices' means.
"""

from __future__ import annotations

import time
from functools import cache

from sqlalchemy import Connection, Engine, text

from edgesdk.fleet.store import jobs
from edgesdk.fleet.store.engine import is_sqlite, writing
from edgesdk.fleet.store.figures import FIGURES, Figure
from edgesdk.fleet.store.partitions import Partitions
from edgesdk.fleet.store.record_rows import SAMPLES_LOCK

MINUTE_MS = 60_000
HOUR_MS = 3_600_000
WHOLE_FLEET = 0
# Of one transaction: others wait while it lasts, in a file.
_SAMPLES_A_STEP = 5000
# Its cursor is the number of the last sample that is in minutes and hours.
JOB = "rollup"


def roll(engine: Engine, *, most: int | None = None, now_ms: int | None = None) -> int:
    """Add samples that are new to their minutes and hours, in short steps; return how many those were.

    Args:
        most: stop after about this many.
        now_ms: the present; days near it are partitions of their own.
    """
    done = 0
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    upper = _settled_upto(engine)
    while most is None or done < most:
        step = _step(engine, upper, now_ms)
        done += step
        if step == 0:
            break
    return done


def rolled_upto(connection: Connection) -> int:
    """Return the number of the last sample that is in the roll-ups; while the transaction lasts, none is added.

    Only up to there samples may be forgotten: a device that was away for days adds old ones at any moment.
    """
    _wait_for_writers(connection)
    return jobs.cursor(connection, JOB)


def _settled_upto(engine: Engine) -> int:
    """Return a number below which no sample is still to be committed."""
    with writing(engine) as connection:
        _wait_for_writers(connection)
        return int(connection.execute(text("SELECT coalesce(max(id), 0) FROM samples")).scalar_one())


def _wait_for_writers(connection: Connection) -> None:
    # In a file, whoever may write is alone.
    if not is_sqlite(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SAMPLES_LOCK})


def _step(engine: Engine, upper: int, now_ms: int) -> int:
    with writing(engine) as connection:
        after = jobs.cursor(connection, JOB)
        span = {"after": after, "upper": upper, "most": _SAMPLES_A_STEP}
        count, last = connection.execute(
            text(
                "SELECT count(*), max(id) FROM (SELECT id FROM samples WHERE id > :after AND id <= :upper"
                " ORDER BY id LIMIT :most) AS step"
            ),
            span,
        ).one()
        if not count:
            return 0
        span = {"after": after, "upto": last}
        for table, length_ms in (("sample_minutes", MINUTE_MS), ("sample_hours", HOUR_MS)):
            _roll_into(connection, table, length_ms, span, now_ms)
        jobs.move_cursor(connection, JOB, last)
        return int(count)


def _roll_into(connection: Connection, table: str, length_ms: int, span: dict[str, int], now_ms: int) -> None:
    beginnings = f"SELECT DISTINCT at_ms - at_ms % {length_ms} FROM samples WHERE id > :after AND id <= :upto"  # noqa: S608
    touched = sorted(connection.scalars(text(beginnings), span))
    if table == "sample_minutes" and not is_sqlite(connection):
        Partitions().make_for(connection, table, touched, now_ms)
    connection.execute(text(_from_samples(table, length_ms)), span)
    # Few at a time: a backlog of three days touches thousands of minutes.
    for at_ms in touched:
        connection.execute(text(_whole_fleet(table)), {"at_ms": at_ms})


@cache
def _from_samples(table: str, length_ms: int) -> str:
    """Return the statement that adds new samples to a table of roll-ups."""
    columns = [column for figure in FIGURES for column in figure.rolled]
    values = [value for figure in FIGURES for value in _aggregates(figure)]
    sets = [f"{column} = {_merged(table, column)}" for column in ("n", *columns)]
    sets += [f"{column} = coalesce(excluded.{column}, {table}.{column})" for column in _LAST]
    last = ", ".join(f"(SELECT {column} FROM samples s WHERE s.id = g.last_id)" for column in _LAST)  # noqa: S608
    return f"""
        INSERT INTO {table} (node, at_ms, n, {", ".join(columns)}, {", ".join(_LAST)})
        SELECT g.node, g.at_ms, g.n, {", ".join(f"g.{column}" for column in columns)}, {last} FROM (
            SELECT node, at_ms - at_ms % {length_ms} AS at_ms, count(*) AS n, max(id) AS last_id,
                {", ".join(values)}
            FROM samples WHERE id > :after AND id <= :upto GROUP BY node, at_ms - at_ms % {length_ms}
        ) AS g WHERE true
        ON CONFLICT (node, at_ms) DO UPDATE SET {", ".join(sets)}
    """  # noqa: S608  (names of ours)


@cache
def _whole_fleet(table: str) -> str:
    """Return the statement that makes one minute or hour of the whole fleet anew."""
    columns, values = list[str](), list[str]()
    for figure in (figure for figure in FIGURES if not figure.counter):
        name = figure.name
        columns += figure.rolled
        values += [f"count({name}_n)", f"CAST(sum({name}_sum / nullif({name}_n, 0)) AS BIGINT)"]
        values += [f"{part}({name}_{part})" for part in figure.keeps]
    sets = ", ".join(f"{column} = excluded.{column}" for column in ("n", *columns))
    return f"""
        INSERT INTO {table} (node, at_ms, n, {", ".join(columns)})
        SELECT {WHOLE_FLEET}, at_ms, count(*), {", ".join(values)}
        FROM {table} WHERE at_ms = :at_ms AND node <> {WHOLE_FLEET} GROUP BY at_ms
        ON CONFLICT (node, at_ms) DO UPDATE SET {sets}
    """  # noqa: S608  (names of ours)


# Of these the last of a minute is kept: drops count on, and stages change slowly.
_LAST = ("latency_ms", "dropped_by_cause")


def _aggregates(figure: Figure) -> list[str]:
    if figure.counter:
        return [f"max({figure.name}) AS {figure.name}_max"]
    made = [
        f"nullif(count({figure.name}), 0) AS {figure.name}_n",
        f"CAST(sum({figure.name}) AS BIGINT) AS {figure.name}_sum",
    ]
    return made + [f"{part}({figure.name}) AS {figure.name}_{part}" for part in figure.keeps]


def _merged(table: str, column: str) -> str:
    here, new = f"{table}.{column}", f"excluded.{column}"
    if column.endswith(("_max", "_min")):
        better = f"{new} {'>' if column.endswith('_max') else '<'} {here}"
        return f"CASE WHEN {here} IS NULL OR {better} THEN {new} ELSE {here} END"
    return f"CASE WHEN {here} IS NULL THEN {new} WHEN {new} IS NULL THEN {here} ELSE {here} + {new} END"
