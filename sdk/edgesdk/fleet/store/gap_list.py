"""What is not there, and why: numbers that devices declared as gone, and messages that could not be read."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select

from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.tables import gaps, quarantine, streams

_MOST = 200


def gaps_of(connection: Connection, node: int, from_ms: int, to_ms: int) -> list[dict[str, Any]]:
    """Return what a device will never send, for charts: from, to, cause, how many reports of each kind."""
    begins, ends = func.coalesce(gaps.c.from_ms, gaps.c.at_ms), func.coalesce(gaps.c.to_ms, gaps.c.at_ms)
    asked = (
        select(begins, ends, gaps.c.cause, gaps.c.reports)
        .join(streams, streams.c.id == gaps.c.stream)
        .where(streams.c.node == node, ends >= from_ms, begins < to_ms)
        .order_by(begins.desc())
        .limit(_MOST)
    )
    return [
        {"from_ms": first, "to_ms": last, "cause": cause, "reports": json.loads(reports) if reports else {}}
        for first, last, cause, reports in connection.execute(asked)
    ]


def unreadable(connection: Connection, *, cursor: str = "", limit: int = 50) -> Page[dict[str, Any]]:
    """Return messages that could not be read, newest first, without what was in them.

    Raises:
        InputError: the cursor or limit is wrong.
    """
    asked = select(*(quarantine.c[n] for n in ("id", "received_ms", "node", "topic", "reason", "size_bytes")))
    found = page(connection, asked, [Key(quarantine.c.id, True)], cursor, limit)
    names = ("id", "received_ms", "node", "topic", "reason", "size_bytes")
    return Page([{name: getattr(row, name) for name in names} for row in found.items], found.next)
