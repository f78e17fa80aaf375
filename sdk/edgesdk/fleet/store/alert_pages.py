"""Alerts as people look at them, and who has taken note."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, select, update

from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.tables_devices import nodes
from edgesdk.fleet.store.tables_watch import alert_rules, alerts
from edgesdk_targets.errors import InputError

STATES = ("firing", "pending", "cleared")


def list_alerts(
    connection: Connection, *, state: str = "", node: str = "", limit: int = 50, cursor: str = ""
) -> Page[Any]:
    """Return a page of alerts, the newest first, with their rule's and device's names.

    Args:
        state: one of `STATES`, several with commas; all when empty.

    Raises:
        InputError: there is no such state, or the cursor is none.
    """
    states = [word.strip() for word in state.split(",") if word.strip()]
    for one in states:
        if one not in STATES:
            raise InputError(f"{one[:40]!r} is no state of an alert.", hint=f"One of {', '.join(STATES)}.")
    query = (
        select(
            *alerts.c, alert_rules.c.name.label("rule_name"),
            alert_rules.c.kind.label("kind"), nodes.c.name.label("node_name"), nodes.c.title.label("node_title"),
            nodes.c.site,
        )
        .join(alert_rules, alert_rules.c.id == alerts.c.rule)
        .outerjoin(nodes, nodes.c.id == alerts.c.node)
    )  # fmt: skip
    if states:
        query = query.where(alerts.c.state.in_(states))
    if node:
        query = query.where(nodes.c.name == node)
    return page(connection, query, [Key(alerts.c.since_ms, True), Key(alerts.c.id, True)], cursor, limit)


def last_change_ms(connection: Connection) -> int | None:
    """Return when an alert changed last; None where there is none."""
    newest: int | None = connection.execute(select(func.max(alerts.c.updated_ms))).scalar_one()
    return newest


def count_firing(connection: Connection) -> int:
    """Return how many alerts are firing now."""
    return connection.execute(select(func.count()).select_from(alerts).where(alerts.c.state == "firing")).scalar_one()


def take_note(connection: Connection, alert: int, *, actor: str, at_ms: int) -> bool:
    """Write down who has seen an alert first; return whether there is such an alert."""
    connection.execute(
        update(alerts)
        .where(alerts.c.id == alert, alerts.c.acknowledged_ms.is_(None))
        .values(acknowledged_ms=at_ms, acknowledged_by=actor)
    )
    return connection.execute(select(alerts.c.id).where(alerts.c.id == alert)).first() is not None


def alert_json(row: Any) -> dict[str, Any]:
    """Return an alert with stable keys."""
    names = (
        "id", "kind", "state", "severity", "value", "message", "since_ms", "fired_ms", "cleared_ms",
        "acknowledged_ms", "acknowledged_by",
    )  # fmt: skip
    return {
        "rule": row.rule_name,
        "node": row.node_name,
        "site": row.site,
        **{name: getattr(row, name) for name in names},
    }
