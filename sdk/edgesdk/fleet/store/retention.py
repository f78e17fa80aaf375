"""Forgets what is old enough, a little at a time; what is settled stays settled, and roll-ups stay as they are."""

from __future__ import annotations

from dataclasses import dataclass, fields

from sqlalchemy import Column, Engine, Table, text

from edgesdk.fleet.store import declared_gaps, partitions, rollups
from edgesdk.fleet.store.engine import is_sqlite, writing
from edgesdk.fleet.store.media import MediaFolder, remove_orphans
from edgesdk.fleet.store.tables import (
    BY_DAY,
    alerts,
    audit,
    clips,
    command_replies,
    commands,
    events,
    notifications,
    records,
    sample_hours,
    sample_minutes,
    samples,
    sessions,
    snapshots,
)
from edgesdk_targets.errors import InputError

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
_ROWS_A_STEP = 2000
# How late reports come, where they are kept without end.
_LATE_H = 7 * 24
_UNIT_HOURS = {"h": 1, "d": 24, "w": 7 * 24, "y": 365 * 24}


@dataclass(frozen=True, slots=True)
class Keep:
    """How long what is kept; None: without end.

    Attributes:
        raw_h: reports as they were said, and samples.
        minutes_d, hours_d: roll-ups.
        events_d, media_d, commands_d, alerts_d, audit_d: the rest; media are snapshots and clips, alerts those that are over.
    """

    raw_h: float | None = 48
    minutes_d: float | None = 90
    hours_d: float | None = None
    events_d: float | None = 365
    media_d: float | None = 30
    commands_d: float | None = 90
    alerts_d: float | None = 365
    audit_d: float | None = 730

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Read what a person wrote: `raw=72h, minutes=30d, hours=forever`; what is not named is as usual.

        Raises:
            InputError: it names something else, or is no length of time.
        """
        named = {field.name.rpartition("_")[0]: field.name for field in fields(cls)}
        given: dict[str, float | None] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            what, _, how_long = (word.strip() for word in part.partition("="))
            if what not in named:
                raise InputError(f"{what[:40]!r} is nothing that is kept.", hint=f"One of {', '.join(named)}.")
            hours = _hours(how_long)
            name = named[what]
            given[name] = hours if hours is None or name.endswith("_h") else hours / 24
        return cls(**given)


def forget_old(engine: Engine, keep: Keep, now_ms: int, *, media: MediaFolder | None = None) -> dict[str, int]:
    """Forget what is older than it shall be kept; return how many rows of each table (partitions count as one).

    Args:
        media: whose files go before their rows, and those that have none; without it they stay.
    """
    # What is not in a roll-up yet is not forgotten: neither now, nor of what is committed while this goes on.
    rollups.roll(engine, now_ms=now_ms)
    declared_gaps.look_up_again(engine, int(now_ms - (keep.raw_h or _LATE_H) * HOUR_MS))
    gone = {}
    for table, column, kept_ms in _plan(keep):
        if kept_ms is None:
            continue
        before_ms = int(now_ms - kept_ms)
        count = 0
        if table in BY_DAY and not is_sqlite(engine):
            with writing(engine) as connection:
                last_id = rollups.rolled_upto(connection) if table is samples else None
                count = partitions.drop_before(connection, table.name, before_ms, last_id=last_id)
        if table in {snapshots, clips} and media is not None:
            _remove_files(engine, table, before_ms, media)
        gone[table.name] = count + _delete(engine, table, column, before_ms)
    if media is not None and keep.media_d is not None:
        with engine.connect() as connection:
            remove_orphans(connection, media, int(now_ms - keep.media_d * DAY_MS))
    return gone


def _hours(text: str) -> float | None:
    if text == "forever":
        return None
    number, unit = text[:-1], text[-1:]
    if unit not in _UNIT_HOURS or not number.replace(".", "", 1).isdigit() or float(number) <= 0:
        raise InputError(f"{text[:40]!r} is no length of time.", hint="12h, 30d, 1y, or forever.")
    return float(number) * _UNIT_HOURS[unit]


def _plan(keep: Keep) -> list[tuple[Table, Column[int], float | None]]:
    def hours(number: float | None) -> float | None:
        return None if number is None else number * HOUR_MS

    def days(number: float | None) -> float | None:
        return None if number is None else number * DAY_MS

    return [
        (records, records.c.at_ms, hours(keep.raw_h)),
        (samples, samples.c.at_ms, hours(keep.raw_h)),
        (sample_minutes, sample_minutes.c.at_ms, days(keep.minutes_d)),
        (sample_hours, sample_hours.c.at_ms, days(keep.hours_d)),
        (events, events.c.at_ms, days(keep.events_d)),
        (snapshots, snapshots.c.at_ms, days(keep.media_d)),
        (clips, clips.c.at_ms, days(keep.media_d)),
        (command_replies, command_replies.c.received_ms, days(keep.commands_d)),
        (commands, commands.c.created_ms, days(keep.commands_d)),
        (notifications, notifications.c.created_ms, days(keep.commands_d)),
        (alerts, alerts.c.cleared_ms, days(keep.alerts_d)),
        (audit, audit.c.at_ms, days(keep.audit_d)),
        (sessions, sessions.c.expires_ms, 0),
    ]


def _delete(engine: Engine, table: Table, column: Column[int], before_ms: int) -> int:
    """Delete in steps: while a step lasts, a file's other writers wait."""
    if is_sqlite(engine):
        key = "rowid" if table.dialect_options["sqlite"]["with_rowid"] else "(node, at_ms)"
        chosen = "rowid" if key == "rowid" else "node, at_ms"
    else:
        key = chosen = "ctid"
    # On PostgreSQL days go by partition; what is left lies among the others, or in tables that are small.
    name = f"{table.name}_other" if table in BY_DAY and not is_sqlite(engine) else table.name
    rolled = " AND id <= :last_id" if table is samples else ""
    statement = text(
        f"DELETE FROM {name} WHERE {key} IN"  # noqa: S608  (names of ours)
        f" (SELECT {chosen} FROM {name} WHERE {column.name} < :before{rolled} LIMIT :most)"
    )
    total = 0
    while True:
        with writing(engine) as connection:
            given = {"before": before_ms, "most": _ROWS_A_STEP}
            if table is samples:
                given["last_id"] = rollups.rolled_upto(connection)
            count = connection.execute(statement, given).rowcount
        total += count
        if count < _ROWS_A_STEP:
            return total


def _remove_files(engine: Engine, table: Table, before_ms: int, media: MediaFolder) -> None:
    with engine.connect() as connection:
        asked = text(f"SELECT path FROM {table.name} WHERE at_ms < :before AND path <> ''")  # noqa: S608
        paths = connection.scalars(asked, {"before": before_ms}).all()
    for path in paths:
        media.remove(path)
