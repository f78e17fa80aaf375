"""Clips and pictures that arrived whole: their files in the media folder, and the rows that say so."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.media import MediaFolder
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import clips, snapshots

# What a device may send, by the ending of its name.
CONTENT_TYPES = {".ts": "video/mp2t", ".mp4": "video/mp4", ".jpg": "image/jpeg"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEXT_CHARACTERS = 256
_BLOCK = 1 << 20


def content_type_of(filename: str) -> str:
    """Return what a file is by its name, or nothing where it is none that is kept."""
    return CONTENT_TYPES.get(Path(filename).suffix.lower(), "")


def keep_file(
    connection: Connection, folder: MediaFolder, node: tuple[int, str], part: Path, metadata: Mapping[str, str], now_ms: int
) -> None:  # fmt: skip
    """Take a file that arrived whole into the media folder; one that is there already stays as it is.

    Args:
        node: row and name of the device.
        part: is moved away.
        metadata: `filename`, `id`, `camera`, `event`, as the device says.

    Raises:
        OSError: it cannot be read or moved.
    """
    row, name = node
    kind = content_type_of(metadata.get("filename", ""))
    digest, size = _digest(part)
    said = metadata.get("id", "")
    number = said if _NAME.fullmatch(said) else digest[:32]
    table, key = (snapshots, snapshots.c.snapshot) if kind == "image/jpeg" else (clips, clips.c.clip)
    here = connection.execute(
        select(table.c.id, table.c.path, table.c.at_ms).where(table.c.node == row, key == number)
    ).first()
    if here is not None and here.path:
        return
    at_ms = now_ms if here is None else here.at_ms
    suffix = next(ending for ending, one in CONTENT_TYPES.items() if one == kind)
    path = folder.path_of(name, f"{number}-{digest[:16]}{suffix}", at_ms)
    values = {"path": path, "content_type": kind, "size_bytes": size, "sha256": digest}
    if table is clips:
        values["state"] = "stored"
    if here is None:
        insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
        told = {key: plain_text(metadata.get(key, ""), _TEXT_CHARACTERS) for key in ("camera", "event")}
        new = {"node": row, key.name: number, "at_ms": at_ms, "received_ms": now_ms, **told, **values}
        connection.execute(insert(table).values(new).on_conflict_do_nothing())
    else:
        connection.execute(update(table).where(table.c.id == here.id).values(values))
    _move(part, folder, path)


def _move(part: Path, folder: MediaFolder, path: str) -> None:
    place = folder.place_of(path)
    for one in (folder.root, place.parent.parent, place.parent):
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
    part.replace(place)
    handle = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(part: Path) -> tuple[str, int]:
    found, size = hashlib.sha256(), 0
    with part.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
            size += len(block)
    return found.hexdigest(), size
