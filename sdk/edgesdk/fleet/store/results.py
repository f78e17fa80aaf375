"""What models answered: searched by device, camera, time and what was seen, newest first."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from edgesdk.fleet.store.batch import Kind
from edgesdk.fleet.store.engine import bounded
from edgesdk.fleet.store.events import SEARCH_S, Wanted
from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.tables import nodes, records


def find(connection: Connection, wanted: Wanted, *, cursor: str = "", limit: int = 100) -> Page[dict[str, Any]]:
    """Return results with the message as it was said.

    Raises:
        InputError: the cursor or limit is wrong, or it takes too long.
    """
    asked = (
        select(records, nodes.c.name.label("node_name"))
        .join(nodes, nodes.c.id == records.c.node)
        .where(records.c.kind == int(Kind.RESULT), *_where(wanted))
    )
    keys = [Key(column, True) for column in (records.c.at_ms, records.c.stream, records.c.seq)]
    with bounded(connection, SEARCH_S):
        found = page(connection, asked, keys, cursor, limit)
    return Page([_shown(row) for row in found.items], found.next)


def _where(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.node:
        found.append(records.c.node == select(nodes.c.id).where(nodes.c.name == wanted.node).scalar_subquery())
    if wanted.site:
        found.append(nodes.c.site == wanted.site)
    if wanted.since_ms is not None:
        found.append(records.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(records.c.at_ms < wanted.until_ms)
    if wanted.camera:
        found.append(records.c.camera == wanted.camera)
    if wanted.label:
        found.append(records.c.labels.icontains(f"|{wanted.label}|", autoescape=True))
    return found


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": f"{row.stream}-{row.seq}",
        "node": row.node_name,
        "camera": row.camera,
        "at_ms": row.at_ms,
        "received_ms": row.received_ms,
        "labels": row.labels.strip("|").split("|") if row.labels else [],
        "message": json.loads(row.body),
    }
