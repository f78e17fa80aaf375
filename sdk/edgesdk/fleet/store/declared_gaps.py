"""Numbers that a device declares as gone, with the time between the reports around them: what charts leave empty.

That time is looked up when a gap comes, and again while its neighbours may still come or change, before they are
forgotten for their age: a backlog comes in any order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Engine, ScalarSelect, select, update
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store.batch import DeclaredGap, Stream
from edgesdk.fleet.store.engine import is_sqlite, writing
from edgesdk.fleet.store.lines import Line
from edgesdk.fleet.store.tables import gaps, records

_GAPS_A_STEP = 500
_KEY = (gaps.c.stream, gaps.c.first, gaps.c.last, gaps.c.declared_seq)


def add(connection: Connection, declared: Sequence[DeclaredGap], lines: Mapping[Stream, Line]) -> int:
    """Write gaps whose records are written, each once; return how many reports are lost that were not known as lost."""
    lost = 0
    make = sqlite.insert if is_sqlite(connection) else postgresql.insert
    for gap in declared:
        first, last = gap.span
        stream = lines[gap.stream].id
        row = {
            "stream": stream,
            "first": first,
            "last": last,
            "declared_seq": gap.declared_seq,
            "at_ms": gap.at_ms,
            "cause": gap.cause,
            "reports": json.dumps(dict(gap.reports)),
        }
        if connection.execute(make(gaps).values(row).on_conflict_do_nothing().returning(*_KEY)).first() is not None:
            lost += sum(gap.reports.values())
            _look_up(connection, (stream, first, last, gap.declared_seq))
    return lost


def look_up_again(engine: Engine, since_ms: int) -> None:
    """Look up the time of each gap that was declared since then: its neighbours may have come after it."""
    asked = select(*_KEY).where(gaps.c.at_ms >= since_ms).order_by(*_KEY)
    with engine.connect() as connection:
        keys = [tuple(row) for row in connection.execute(asked)]
    for begin in range(0, len(keys), _GAPS_A_STEP):
        with writing(engine) as connection:
            for key in keys[begin : begin + _GAPS_A_STEP]:
                _look_up(connection, key)


def _look_up(connection: Connection, key: tuple[int, ...]) -> None:
    here = [column == value for column, value in zip(_KEY, key, strict=True)]
    asked = select(_neighbour(before=True), _neighbour(), gaps.c.from_ms, gaps.c.to_ms, gaps.c.at_ms).where(*here)
    before, after, from_ms, to_ms, at_ms = connection.execute(asked).one()
    # A neighbour that is forgotten leaves what was known by it; one that never was leaves the other end.
    end = next(at for at in (after, to_ms, before, at_ms) if at is not None)
    begin = next(at for at in (before, from_ms, end) if at is not None)
    # Clocks are set back: the earlier is where it begins.
    values = {"from_ms": min(begin, end), "to_ms": max(begin, end)}
    connection.execute(update(gaps).where(*here).values(values))


def _neighbour(*, before: bool = False) -> ScalarSelect[int]:
    """Return the time of the stored report next to a gap."""
    beside = records.c.seq < gaps.c.first if before else records.c.seq > gaps.c.last
    order = records.c.seq.desc() if before else records.c.seq.asc()
    asked = select(records.c.at_ms).where(records.c.stream == gaps.c.stream, beside).order_by(order).limit(1)
    return asked.correlate(gaps).scalar_subquery()
