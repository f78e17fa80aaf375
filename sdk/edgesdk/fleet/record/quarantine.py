"""What could not be read, kept for a person to look at: the newest messages, cut short, and a count of all.

A refused message is acknowledged like any other, or the broker would bring it for ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edgesdk.fleet.record.batch import Refusal

KEPT_MESSAGES = 1000
KEPT_BYTES = 4096
_REASON_CHARACTERS = 500
_TOPIC_CHARACTERS = 300


def insert(cursor: sqlite3.Cursor, refusals: Sequence[Refusal], received_ms: int) -> None:
    """Write refused messages, and forget the oldest beyond the bound."""
    if not refusals:
        return
    cursor.executemany(
        "INSERT INTO quarantine (received_ms, topic, reason, size_bytes, payload) VALUES (?, ?, ?, ?, ?)",
        [
            (
                received_ms,
                _text(r.topic, _TOPIC_CHARACTERS),
                _text(r.reason, _REASON_CHARACTERS),
                r.size_bytes,
                r.payload,
            )
            for r in refusals
        ],
    )
    cursor.execute("DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (KEPT_MESSAGES,))


def _text(text: str, limit: int) -> str:
    # A lone surrogate, as a topic or a reason that quotes one may hold, cannot be written as UTF-8.
    return text[:limit].encode("utf-8", "replace").decode()
