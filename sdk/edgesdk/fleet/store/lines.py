"""Finds each stream's row, with what is settled of it; makes those of devices and epochs that are new.

In a file, one collector writes, and remembers what it wrote. In PostgreSQL there may be several, to any of which the
broker may give a device's next message: each locks the rows of a commit, all at once and in one order, and reads them anew.
Who locked those that it remembers first and others later would wait for somebody who does the same the other way round.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store.batch import Stream
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.tables import nodes, streams

# Streams that are held in memory; others are read again when they speak.
_REMEMBERED_STREAMS = 20_000


@dataclass(slots=True)
class Line:
    """One stream as the store has it."""

    id: int
    node_id: int
    coverage: Coverage


class Lines:
    """The streams of one store, for one writer."""

    def __init__(self) -> None:
        self._known: OrderedDict[Stream, Line] = OrderedDict()
        self._data_version = -1

    def of(self, connection: Connection, wanted: Iterable[Stream], now_ms: int) -> dict[Stream, Line]:
        """Return the lines of streams, made where there are none, within the transaction that will write them."""
        wanted = list(wanted)
        if is_sqlite(connection):
            self._forget_if_another_wrote(connection)
        found = {stream: self._known[stream] for stream in wanted if stream in self._known}
        found |= _read_or_made(connection, [stream for stream in wanted if stream not in found], now_ms)
        if is_sqlite(connection):
            return found
        found = self._locked(connection, found)
        # Removed meanwhile, with their devices: nobody else can hold those that are made now.
        return found | _read_or_made(connection, [stream for stream in wanted if stream not in found], now_ms)

    def remember(self, lines: Mapping[Stream, Line]) -> None:
        """Keep what a commit wrote."""
        for stream, line in lines.items():
            self._known[stream] = line
            self._known.move_to_end(stream)
        while len(self._known) > _REMEMBERED_STREAMS:
            self._known.popitem(last=False)

    def forget(self) -> None:
        """Forget everything: a commit failed, and what is known may hold numbers of rows that are not there."""
        self._known.clear()

    def coverage(self, connection: Connection, stream: Stream) -> Coverage:
        """Return what is settled of a stream; of an unknown one, nothing."""
        line = _read(connection, [stream]).get(stream)
        return line.coverage if line is not None else Coverage()

    def _forget_if_another_wrote(self, connection: Connection) -> None:
        # It changes when another connection wrote anything: a device that was removed, for one.
        version = connection.exec_driver_sql("PRAGMA data_version").scalar_one()
        if version != self._data_version:
            self._data_version = version
            self._known.clear()

    def _locked(self, connection: Connection, known: Mapping[Stream, Line]) -> dict[Stream, Line]:
        by_id = {line.id: (stream, line) for stream, line in known.items()}
        rows = connection.exec_driver_sql(
            "SELECT id, node, upto, ahead FROM streams WHERE id = ANY(%s) ORDER BY id FOR UPDATE", (list(by_id),)
        )
        found = {}
        for number, node, upto, ahead in rows:
            stream, line = by_id[number]
            # Nobody else wrote it since, as a rule; and of most, nothing is missing.
            same = ahead == "[]" and line.coverage.upto == upto and not line.coverage.ahead
            found[stream] = line if same else _line(number, node, upto, ahead)
        return found


def _read_or_made(connection: Connection, wanted: list[Stream], now_ms: int) -> dict[Stream, Line]:
    if not wanted:
        return {}
    found = _read(connection, wanted)
    missing = [stream for stream in wanted if stream not in found]
    if missing:
        _make(connection, missing, now_ms)
        found |= _read(connection, missing)
    return found


def _make(connection: Connection, wanted: list[Stream], now_ms: int) -> None:
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    names = sorted({stream.node for stream in wanted})
    row = [{"name": name, "created_ms": now_ms, "first_seen_ms": now_ms} for name in names]
    connection.execute(insert(nodes).on_conflict_do_nothing(), row)
    ids = _node_ids(connection, names)
    # One that was enrolled is seen for the first time; in one order, as everything that several write.
    unseen = select(nodes.c.id).where(nodes.c.id.in_(ids.values()), nodes.c.first_seen_ms.is_(None))
    first = list(connection.scalars(unseen.order_by(nodes.c.id).with_for_update()))
    if first:
        connection.execute(nodes.update().where(nodes.c.id.in_(first)).values(first_seen_ms=now_ms))
    made = [{"node": ids[stream.node], "epoch": stream.epoch} for stream in sorted(wanted)]
    connection.execute(insert(streams).on_conflict_do_nothing(), made)


def _node_ids(connection: Connection, names: list[str]) -> dict[str, int]:
    rows = connection.execute(select(nodes.c.name, nodes.c.id).where(nodes.c.name.in_(names)))
    return {name: number for name, number in rows}  # noqa: C416  (rows are no pairs to the type checker)


def _read(connection: Connection, wanted: list[Stream]) -> dict[Stream, Line]:
    asked = (
        select(nodes.c.name, streams.c.epoch, streams.c.id, streams.c.node, streams.c.upto, streams.c.ahead)
        .join(nodes, nodes.c.id == streams.c.node)
        .where(nodes.c.name.in_({stream.node for stream in wanted}), streams.c.epoch.in_({s.epoch for s in wanted}))
    )
    found = {Stream(name, epoch): _line(*row) for name, epoch, *row in connection.execute(asked)}
    return {stream: found[stream] for stream in wanted if stream in found}


def _line(number: int, node: int, upto: int, ahead: str) -> Line:
    islands = json.loads(ahead) if ahead != "[]" else ()
    return Line(number, node, Coverage(upto, tuple((first, last) for first, last in islands)))
