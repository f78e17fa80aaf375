"""What could not be read, kept for a person to look at: the newest messages, cut short, and a count of all.

A refused message is acknowledged like any other, or the broker would bring it for ever.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, delete, func, insert, select

from edgesdk.fleet.store.batch import Refusal
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import quarantine

KEPT_MESSAGES = 1000
KEPT_BYTES = 4096
_REASON_CHARACTERS = 500
_TOPIC_CHARACTERS = 300


def add(connection: Connection, refusals: Sequence[Refusal], received_ms: int) -> None:
    """Write refused messages, and forget the oldest beyond the bound."""
    if not refusals:
        return
    connection.execute(
        insert(quarantine),
        [
            {
                "received_ms": received_ms,
                "node": _node(refusal),
                "topic": plain_text(refusal.topic, _TOPIC_CHARACTERS),
                "reason": plain_text(refusal.reason, _REASON_CHARACTERS),
                "size_bytes": refusal.size_bytes,
                "payload": refusal.payload,
            }
            for refusal in refusals
        ],
    )
    newest = select(func.max(quarantine.c.id) - KEPT_MESSAGES).scalar_subquery()
    connection.execute(delete(quarantine).where(quarantine.c.id <= newest))


def _node(refusal: Refusal) -> str | None:
    return refusal.stream.node if refusal.stream is not None else None
