"""New events into their table, and what they tell of clips."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.media import note_clip
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.record_rows import Placed
from edgesdk.fleet.store.tables import events

_MESSAGE_CHARACTERS = 4096
_CAMERA_CHARACTERS = 256


def add(connection: Connection, new: Sequence[Placed], received_ms: int) -> None:
    """Write the events among new records."""
    told = [(placed, event) for placed in new if (event := placed.record.event) is not None]
    if not told:
        return
    rows = [
        {
            "stream": placed.line.id,
            "seq": placed.record.seq,
            "node": placed.line.node_id,
            "at_ms": placed.record.at_ms,
            "received_ms": received_ms,
            "name": event.name,
            "severity": event.severity,
            "camera": plain_text(event.camera, _CAMERA_CHARACTERS),
            "message": plain_text(event.message, _MESSAGE_CHARACTERS),
            "data": dict(event.data),
        }
        for placed, event in told
    ]
    # One whose record was forgotten for its age, and that its device declared as gone, may come again.
    make = sqlite.insert if is_sqlite(connection) else postgresql.insert
    connection.execute(make(events).on_conflict_do_nothing(), rows)
    for placed, event in told:
        note_clip(connection, placed.line.node_id, event, placed.record.at_ms, received_ms)
