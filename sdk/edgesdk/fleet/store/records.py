"""Ask a store what it holds of devices' sequences, also while a collector writes it; `edgesdk fleet records` shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select
from typing_extensions import Self

from edgesdk.fleet.store import address
from edgesdk.fleet.store.address import Address
from edgesdk.fleet.store.batch import Kind
from edgesdk.fleet.store.coverage import Coverage
from edgesdk.fleet.store.engine import open_store, reading
from edgesdk.fleet.store.tables import gaps, nodes, quarantine, records, streams
from edgesdk_targets.errors import InputError
from edgesdk_targets.messages import GapCause, rfc3339


@dataclass(frozen=True, slots=True)
class Asked:
    """Which records are asked for.

    Attributes:
        node: `tenant.device`, or a device's name alone; all when empty.
        since, until: by the device's clock; `until` is not included.
        kinds: all when empty.
    """

    node: str = ""
    since: datetime | None = None
    until: datetime | None = None
    kinds: tuple[Kind, ...] = ()

    def of_node(self) -> list[ColumnElement[bool]]:
        """Return the condition over `nodes`."""
        if not self.node:
            return []
        # A name alone is a device of any tenant.
        return [or_(nodes.c.name == self.node, nodes.c.name.endswith(f".{self.node}", autoescape=True))]

    def of_records(self) -> list[ColumnElement[bool]]:
        """Return the condition over `records` and `nodes`."""
        where = self.of_node()
        if self.since is not None:
            where.append(records.c.at_ms >= int(self.since.timestamp() * 1000))
        if self.until is not None:
            where.append(records.c.at_ms < int(self.until.timestamp() * 1000))
        if self.kinds:
            where.append(records.c.kind.in_([int(kind) for kind in self.kinds]))
        return where


class Records:
    """A store that is read; use it in a `with` statement, or call `close`.

    Raises:
        InputError: there is none, or it is something else.
    """

    def __init__(self, where: str | Path | Address) -> None:
        self.place = address.parse(where)
        self._engine = open_store(self.place, create=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def nodes(self) -> list[dict[str, Any]]:
        """Return one summary for each epoch of each device; `missing` is neither stored nor declared as gone."""
        with reading(self._engine) as connection:
            counted = _counted(connection)
            return [_summary(connection, row, counted.get(row.id, {})) for row in connection.execute(_STREAMS)]

    def find(self, asked: Asked, *, limit: int | None = 20, newest_first: bool = True) -> Iterator[dict[str, Any]]:
        """Return records, newest first by the device's clock, with the message as it was said."""
        order = [records.c.at_ms, records.c.seq]
        found = (
            select(nodes.c.name, streams.c.epoch, records)
            .join(streams, streams.c.id == records.c.stream)
            .join(nodes, nodes.c.id == streams.c.node)
            .where(*asked.of_records())
            .order_by(*(column.desc() if newest_first else column.asc() for column in order))
            .limit(limit)
        )
        with reading(self._engine) as connection:
            for row in connection.execution_options(stream_results=True, yield_per=500).execute(found):
                yield {
                    "node": row.name,
                    "epoch": row.epoch,
                    "seq": row.seq,
                    "kind": Kind(row.kind).label,
                    "at": _moment(row.at_ms),
                    "received_at": _moment(row.received_ms),
                    "message": json.loads(row.body),
                }

    def gaps(self, node: str = "") -> list[dict[str, Any]]:
        """Return what is not there: declared by the device with its cause, or missing without a word."""
        found = []
        with reading(self._engine) as connection:
            for row in connection.execute(_STREAMS.where(*Asked(node).of_node())).all():
                of_stream = _declared(connection, row.id)
                for first, last in _coverage(row.upto, row.ahead).holes():
                    of_stream.append({"first": first, "last": last, "cause": "missing", "lost": None, "reports": {}})
                of_stream.sort(key=lambda gap: gap["first"])
                found += [{"node": row.name, "epoch": row.epoch, **gap} for gap in of_stream]
        return found

    def quarantine(self, limit: int | None = 20) -> dict[str, Any]:
        """Return how many messages were ever refused, and the newest of those that are kept."""
        newest = select(quarantine).order_by(quarantine.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            kept, last = connection.execute(select(func.count(), func.max(quarantine.c.id))).one()
            messages = connection.execute(newest).all()
        return {
            "refused": last or 0,
            "kept": kept,
            "messages": [
                {
                    "received_at": _moment(row.received_ms),
                    "topic": row.topic,
                    "reason": row.reason,
                    "size_bytes": row.size_bytes,
                    "begins": row.payload[:200].decode("utf-8", "backslashreplace"),
                }
                for row in messages
            ],
        }

    def check_node(self, node: str) -> None:
        """Raise InputError if nothing is known of a device."""
        if not node:
            return
        with reading(self._engine) as connection:
            if connection.execute(select(nodes.c.id).where(*Asked(node).of_node()).limit(1)).first() is not None:
                return
            names = connection.scalars(select(nodes.c.name).order_by(nodes.c.name).limit(5)).all()
        raise InputError(f"The record knows no device {node!r}.", hint=f"It knows {', '.join(names) or 'none yet'}.")


_STREAMS = (
    select(nodes.c.name, streams.c.id, streams.c.epoch, streams.c.upto, streams.c.ahead)
    .join(nodes, nodes.c.id == streams.c.node)
    .order_by(nodes.c.name, streams.c.id)
)


def _counted(connection: Connection) -> dict[int, dict[str, Any]]:
    """Return, by stream, how many records of each kind there are, and the first and last time."""
    found: dict[int, dict[str, Any]] = {}
    asked = select(
        records.c.stream, records.c.kind, func.count(), func.min(records.c.at_ms), func.max(records.c.at_ms)
    ).group_by(records.c.stream, records.c.kind)
    for stream, kind, count, first, last in connection.execute(asked):
        of_stream = found.setdefault(stream, {"first": first, "last": last})
        of_stream[Kind(kind).label] = count
        of_stream["first"], of_stream["last"] = min(of_stream["first"], first), max(of_stream["last"], last)
    return found


def _summary(connection: Connection, row: Any, counted: dict[str, Any]) -> dict[str, Any]:
    coverage = _coverage(row.upto, row.ahead)
    counts = {k.label: counted.get(k.label, 0) for k in (Kind.RESULT, Kind.TELEMETRY, Kind.EVENT)}
    return {
        "node": row.name,
        "epoch": row.epoch,
        "records": sum(counts.values()),
        **counts,
        "first_at": _moment(counted.get("first")),
        "last_at": _moment(counted.get("last")),
        "upto": row.upto,
        "missing": coverage.highest - coverage.count,
        "lost": sum(gap["lost"] or 0 for gap in _declared(connection, row.id)),
    }


def _declared(connection: Connection, stream: int) -> list[dict[str, Any]]:
    """Return a stream's declared gaps; `lost` is what did not come after all, None where the cause is no loss."""
    here = (
        select(func.count())
        .select_from(records)
        .where(records.c.stream == gaps.c.stream, records.c.seq.between(gaps.c.first, gaps.c.last))
        .scalar_subquery()
    )
    return [
        {
            "first": row.first,
            "last": row.last,
            "cause": row.cause,
            "lost": row.last - row.first + 1 - row.here if _is_loss(row.cause) else None,
            "reports": json.loads(row.reports),
            "declared_at": _moment(row.at_ms),
        }
        for row in connection.execute(select(gaps, here.label("here")).where(gaps.c.stream == stream))
    ]


def _is_loss(cause: str) -> bool:
    try:
        return GapCause(cause).exact
    except ValueError:
        return True


def _coverage(upto: int, ahead: str) -> Coverage:
    return Coverage(upto, tuple((first, last) for first, last in json.loads(ahead)))


def _moment(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(datetime.fromtimestamp(at_ms / 1000, timezone.utc))
