"""Ask a record what it holds, also while a recorder writes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from typing_extensions import Self

from edgesdk.fleet.record.batch import Kind
from edgesdk.fleet.record.coverage import Coverage
from edgesdk.fleet.record.schema import connect
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

    def where(self) -> tuple[str, list[object]]:
        """Return the condition in SQL, over `node` and `record`, and its values."""
        parts, values = ["1"], list[object]()
        if self.node:
            # A name alone is a device of any tenant.
            parts.append("(node.name = ? OR substr(node.name, instr(node.name, '.') + 1) = ?)")
            values += [self.node, self.node]
        for sign, moment in ((">=", self.since), ("<", self.until)):
            if moment is not None:
                parts.append(f"record.at_ms {sign} ?")
                values.append(int(moment.timestamp() * 1000))
        if self.kinds:
            parts.append(f"record.kind IN ({', '.join('?' * len(self.kinds))})")
            values += [int(kind) for kind in self.kinds]
        return " AND ".join(parts), values


class Records:
    """A record that is read; use it in a `with` statement, or call `close`.

    Raises:
        InputError: there is none, or it is another kind of file.
    """

    def __init__(self, path: Path) -> None:
        self._connection = connect(path, read_only=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def nodes(self) -> list[dict[str, Any]]:
        """Return one summary for each epoch of each device; `missing` is neither stored nor declared as gone."""
        found = []
        for stream, node, epoch, upto, ahead in self._connection.execute(
            "SELECT stream.id, node.name, epoch, upto, ahead FROM stream JOIN node ON node.id = stream.node"
            " ORDER BY node.name, stream.id"
        ):
            coverage = _coverage(upto, ahead)
            counts = dict.fromkeys((k.label for k in (Kind.RESULT, Kind.TELEMETRY, Kind.EVENT)), 0)
            for kind, count in self._connection.execute(
                "SELECT kind, count(*) FROM record WHERE stream = ? GROUP BY kind", (stream,)
            ):
                counts[Kind(kind).label] = count
            first, last = self._connection.execute(
                "SELECT min(at_ms), max(at_ms) FROM record WHERE stream = ?", (stream,)
            ).fetchone()
            found.append(
                {
                    "node": node,
                    "epoch": epoch,
                    "records": sum(counts.values()),
                    **counts,
                    "first_at": _moment(first),
                    "last_at": _moment(last),
                    "upto": upto,
                    "missing": coverage.highest - coverage.count,
                    "lost": sum(gap["lost"] or 0 for gap in self._declared(stream)),
                }
            )
        return found

    def find(self, asked: Asked, *, limit: int | None = 20, newest_first: bool = True) -> Iterator[dict[str, Any]]:
        """Return records, newest first by the device's clock, with the message as it was said."""
        where, values = asked.where()
        order = "DESC" if newest_first else "ASC"
        for node, epoch, seq, kind, at_ms, received_ms, body in self._connection.execute(
            # No value stands in the text.
            "SELECT node.name, epoch, seq, kind, at_ms, received_ms, body FROM record"  # noqa: S608
            " JOIN stream ON stream.id = record.stream JOIN node ON node.id = stream.node"
            f" WHERE {where} ORDER BY at_ms {order}, seq {order} LIMIT ?",
            [*values, -1 if limit is None else limit],
        ):
            yield {
                "node": node,
                "epoch": epoch,
                "seq": seq,
                "kind": Kind(kind).label,
                "at": _moment(at_ms),
                "received_at": _moment(received_ms),
                "message": json.loads(body),
            }

    def gaps(self, node: str = "") -> list[dict[str, Any]]:
        """Return what is not there: declared by the device with its cause, or missing without a word."""
        where, values = Asked(node=node).where()
        found = []
        for stream, name, epoch, upto, ahead in self._connection.execute(
            "SELECT stream.id, node.name, epoch, upto, ahead FROM stream JOIN node ON node.id = stream.node"  # noqa: S608
            f" WHERE {where} ORDER BY node.name, stream.id",
            values,
        ).fetchall():
            of_stream = self._declared(stream)
            for first, last in _coverage(upto, ahead).holes():
                of_stream.append({"first": first, "last": last, "cause": "missing", "lost": None, "reports": {}})
            of_stream.sort(key=lambda gap: gap["first"])
            found += [{"node": name, "epoch": epoch, **gap} for gap in of_stream]
        return found

    def quarantine(self, limit: int | None = 20) -> dict[str, Any]:
        """Return how many messages were ever refused, and the newest of those that are kept."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'quarantine'").fetchone()
        kept = self._connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        newest = self._connection.execute(
            "SELECT received_ms, topic, reason, size_bytes, payload FROM quarantine ORDER BY id DESC LIMIT ?",
            (-1 if limit is None else limit,),
        )
        return {
            "refused": row[0] if row else 0,
            "kept": kept,
            "messages": [
                {
                    "received_at": _moment(received_ms),
                    "topic": topic,
                    "reason": reason,
                    "size_bytes": size,
                    "begins": payload[:200].decode("utf-8", "backslashreplace"),
                }
                for received_ms, topic, reason, size, payload in newest
            ],
        }

    def check_node(self, node: str) -> None:
        """Raise InputError if nothing is known of a device."""
        where, values = Asked(node=node).where()
        query = f"SELECT 1 FROM node WHERE {where} LIMIT 1"  # noqa: S608  (no value stands in it)
        if node and self._connection.execute(query, values).fetchone() is None:
            names = [row[0] for row in self._connection.execute("SELECT name FROM node ORDER BY name LIMIT 5")]
            raise InputError(
                f"The record knows no device {node!r}.", hint=f"It knows {', '.join(names) or 'none yet'}."
            )

    def _declared(self, stream: int) -> list[dict[str, Any]]:
        """Return a stream's declared gaps; `lost` is what did not come after all, None where the cause is no loss."""
        return [
            {
                "first": first,
                "last": last,
                "cause": cause,
                "lost": last - first + 1 - here if _is_loss(cause) else None,
                "reports": json.loads(reports),
                "declared_at": _moment(at_ms),
            }
            for first, last, cause, reports, at_ms, here in self._connection.execute(
                "SELECT first, last, cause, reports, at_ms, (SELECT count(*) FROM record"
                " WHERE record.stream = gap.stream AND seq BETWEEN first AND last) FROM gap WHERE stream = ?",
                (stream,),
            ).fetchall()
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
