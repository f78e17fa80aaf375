"""The audit log: who did what to what, from where, and whether it was let through. Rows are only ever added."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, insert, select

from edgesdk.fleet.store.engine import reading, writing
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables_people import audit

_LONGEST = 300


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: `action` is a key such as `login` or `command.send`, `subject` what it was done to."""

    id: int
    at_ms: int
    actor: str
    address: str
    action: str
    subject: str
    outcome: str
    detail: Mapping[str, Any] | None


def add_entry(
    connection: Connection, actor: str, action: str, subject: str = "", *, outcome: str = "ok", address: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Add a line within the transaction that does what it tells; what comes from outside is cut, never refused."""
    connection.execute(
        insert(audit).values(
            at_ms=int(time.time() * 1000), actor=plain_text(actor, _LONGEST), address=plain_text(address, 64),
            action=action[:64], subject=plain_text(subject, _LONGEST), outcome=outcome,
            detail=dict(detail) if detail else None,
        )
    )  # fmt: skip


class AuditLog:
    """Writes and reads the log.

    Args:
        engine: of the store.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(
        self,
        actor: str,
        action: str,
        subject: str = "",
        *,
        outcome: str = "ok",
        address: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a line; what comes from outside is cut, never refused."""
        with writing(self._engine) as connection:
            add_entry(connection, actor, action, subject, outcome=outcome, address=address, detail=detail)

    def page(
        self, *, before: int | None = None, actor: str = "", action: str = "", subject: str = "", limit: int = 50
    ) -> tuple[list[Entry], int | None]:
        """Return lines, the newest first, and the key of the next page, or None at the end."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(audit.c.id < before)
        for column, wanted in ((audit.c.actor, actor), (audit.c.action, action), (audit.c.subject, subject)):
            if wanted:
                query = query.where(column == wanted)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        entries = [
            Entry(
                row["id"], row["at_ms"], row["actor"], row["address"], row["action"], row["subject"], row["outcome"],
                row["detail"],
            )
            for row in rows[:limit]
        ]  # fmt: skip
        return entries, entries[-1].id if len(rows) > limit else None

    def actions(self) -> list[str]:
        """Return the actions that there are, for a filter."""
        with reading(self._engine) as connection:
            return sorted(connection.execute(select(audit.c.action).distinct()).scalars())
