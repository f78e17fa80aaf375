"""Which file a snapshot or clip is, by its number."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, select

from edgesdk.fleet.store.tables import clips, snapshots

_SHOWN = (
    "id", "camera", "event", "at_ms", "content_type", "size_bytes", "width", "height", "state", "duration_ms", "detail",
)  # fmt: skip


def snapshot_file(connection: Connection, number: int) -> RowMapping | None:
    """Return a snapshot's `path` and `content_type`, or None."""
    return (
        connection.execute(select(snapshots.c.path, snapshots.c.content_type).where(snapshots.c.id == number))
        .mappings()
        .first()
    )


def clip_file(connection: Connection, number: int) -> RowMapping | None:
    """Return a clip's `path` and `content_type`, or None."""
    return connection.execute(select(clips.c.path, clips.c.content_type).where(clips.c.id == number)).mappings().first()


def as_told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot or clip with stable keys, without where its file lies."""
    return {"node": row["node"], **{name: row[name] for name in _SHOWN if name in row}}
