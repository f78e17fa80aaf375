"""What happened: events of one device or of all, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from edgesdk.fleet.store.engine import bounded
from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.tables import events, nodes

# What is searched for and not there is looked for in everything; nobody waits longer, nor keeps others waiting.
SEARCH_S = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events or results; empty fields say nothing.

    Attributes:
        node: a device's name.
        since_ms, until_ms: by `at_ms`; `until_ms` is not included.
        name, severity: of events, severities with commas; text: a part of an event's message or name.
        label: of results: what was seen, the whole word.
    """

    node: str = ""
    site: str = ""
    camera: str = ""
    since_ms: int | None = None
    until_ms: int | None = None
    name: str = ""
    severity: str = ""
    text: str = ""
    label: str = ""


def find(connection: Connection, wanted: Wanted, *, cursor: str = "", limit: int = 100) -> Page[dict[str, Any]]:
    """Return events, newest first.

    Raises:
        InputError: the cursor or limit is wrong, or it takes too long.
    """
    asked = (
        select(events, nodes.c.name.label("node_name")).join(nodes, nodes.c.id == events.c.node).where(*_where(wanted))
    )
    with bounded(connection, SEARCH_S):
        found = page(connection, asked, [Key(events.c.at_ms, True), Key(events.c.id, True)], cursor, limit)
    return Page([_shown(row) for row in found.items], found.next)


def since(connection: Connection, after_id: int, *, limit: int = 500) -> list[dict[str, Any]]:
    """Return events that were stored after one, in that order: what a live view goes on with."""
    asked = (
        select(events, nodes.c.name.label("node_name"))
        .join(nodes, nodes.c.id == events.c.node)
        .where(events.c.id > after_id)
        .order_by(events.c.id)
        .limit(limit)
    )
    return [_shown(row) for row in connection.execute(asked)]


def last_id(connection: Connection) -> int | None:
    """Return the number of the event that was stored last; None where there is none."""
    newest: int | None = connection.execute(select(func.max(events.c.id))).scalar_one()
    return newest


def _where(wanted: Wanted) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.node:
        found.append(events.c.node == select(nodes.c.id).where(nodes.c.name == wanted.node).scalar_subquery())
    if wanted.site:
        found.append(nodes.c.site == wanted.site)
    if wanted.since_ms is not None:
        found.append(events.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        found.append(events.c.at_ms < wanted.until_ms)
    for column, value in ((events.c.camera, wanted.camera), (events.c.name, wanted.name)):
        if value:
            found.append(column == value)
    if wanted.severity:
        found.append(events.c.severity.in_([word.strip() for word in wanted.severity.split(",")]))
    if wanted.text:
        found.append(
            or_(
                events.c.message.icontains(wanted.text, autoescape=True),
                events.c.name.icontains(wanted.text, autoescape=True),
            )
        )
    return found


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "node": row.node_name,
        "at_ms": row.at_ms,
        "received_ms": row.received_ms,
        "name": row.name,
        "severity": row.severity,
        "camera": row.camera,
        "message": row.message,
        "data": row.data,
    }
