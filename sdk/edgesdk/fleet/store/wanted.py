"""What each device shall become, as it was said last."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from edgesdk.fleet.store.tables import desired, nodes


def wanted_of(connection: Connection, node: int) -> dict[str, Any] | None:
    """Return what a device shall become, None where nothing was said."""
    row = connection.execute(select(desired).where(desired.c.node == node)).mappings().first()
    return None if row is None else {name: row[name] for name in ("version", "state", "updated_ms", "sent_ms")}


def put_wanted(
    connection: Connection, node: str, version: int, state: dict[str, Any], *, actor: str, at_ms: int
) -> None:
    """Write down what a device shall become, and that the broker has it; nothing for a device that is not known."""
    row = connection.execute(select(nodes.c.id).where(nodes.c.name == node)).scalar_one_or_none()
    if row is None:
        return
    connection.execute(delete(desired).where(desired.c.node == row))
    connection.execute(
        insert(desired).values(node=row, version=version, state=state, actor=actor, updated_ms=at_ms, sent_ms=at_ms)
    )
