"""Pictures and clips: the bytes in files of a folder beside the store, what they show in tables.

They show people: only the owner may read them. The row comes first, and what is stored is never written over: whoever
sends another picture by a name that was used changes nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.schema import Table

from edgesdk.fleet.store.address import Address
from edgesdk.fleet.store.batch import EventRow, Picture
from edgesdk.fleet.store.engine import is_sqlite
from edgesdk.fleet.store.events import Wanted
from edgesdk.fleet.store.failures import StoreBusy
from edgesdk.fleet.store.paging import Key, Page, page
from edgesdk.fleet.store.plain_text import plain_text
from edgesdk.fleet.store.tables import clips, nodes, snapshots
from edgesdk_targets.errors import EdgeError, InputError
from edgesdk_targets.whole_file import OWNER_ONLY, write_whole

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_TEXT_CHARACTERS = 256


class MediaFolder:
    """The files. Paths are relative, `2026-01-31/tenant.device/NAME`; a day's folder can be moved away as a whole.

    Args:
        root: made when the first file comes.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def beside(cls, place: Address) -> MediaFolder:
        """Return the folder that belongs to a store: beside its file; of a server, in the present folder."""
        return cls(place.path.with_name(f"{place.path.name}-media") if place.path else Path("fleet-media"))

    def path_of(self, node: str, name: str, at_ms: int) -> str:
        """Return where a file of a device belongs.

        Raises:
            InputError: the name is none that a file may have here.
        """
        path = f"{_day(at_ms)}/{node}/{name}"
        self.place_of(path)
        return path

    def write(self, path: str, content: bytes) -> None:
        """Write a file, whole and for good, or not at all; only its owner may read it.

        Raises:
            InputError: the path leads elsewhere.
            StoreBusy: it cannot be written now.
        """
        place = self.place_of(path)
        try:
            for folder in (self.root, place.parent.parent, place.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(place, content, OWNER_ONLY)
        except OSError as error:
            raise StoreBusy(f"{place}: {error.strerror or error}", hint="Look at the folder and its rights.") from error
        except EdgeError as error:
            raise StoreBusy(error.message, hint=error.hint) from error

    def place_of(self, path: str) -> Path:
        """Return where a file lies.

        Raises:
            InputError: the path leads elsewhere.
        """
        parts = path.split("/")
        if not parts or any(part in {".", ".."} or not _NAME.fullmatch(part) for part in parts):
            raise InputError(f"{path[:80]!r} is no path of a picture or clip.", hint="")
        return self.root.joinpath(*parts)

    def before(self, at_ms: int) -> Iterator[str]:
        """Yield the paths of all files of days that lie wholly before a time."""
        first_kept = _day(at_ms)
        for day in sorted(self.root.glob("[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]")):
            for file in sorted(day.glob("*/*")) if day.name < first_kept else ():
                if _NAME.fullmatch(file.name) and file.is_file() and not file.is_symlink():
                    yield file.relative_to(self.root).as_posix()

    def remove(self, path: str) -> None:
        """Remove a file, and its folders where they are empty then; nothing where it is gone."""
        place = self.place_of(path)
        place.unlink(missing_ok=True)
        for folder in (place.parent, place.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return


def add_snapshot(connection: Connection, folder: MediaFolder, node: int, picture: Picture, received_ms: int) -> None:
    """Keep a picture; one that comes again is kept once, and the first of a name stays what it was."""
    shown = picture.snapshot
    digest = hashlib.sha256(picture.jpeg).hexdigest()
    # With the digest in its name, what a failed commit left behind is never taken for another picture.
    path = folder.path_of(shown.node, f"{shown.id}-{digest[:16]}.jpg", picture.at_ms)
    row = {
        "node": node,
        "snapshot": shown.id,
        "camera": plain_text(shown.camera, _TEXT_CHARACTERS),
        "event": plain_text(shown.event, _TEXT_CHARACTERS),
        "at_ms": picture.at_ms,
        "received_ms": received_ms,
        "content_type": "image/jpeg",
        "size_bytes": len(picture.jpeg),
        "width": shown.width,
        "height": shown.height,
        "sha256": digest,
        "path": path,
        "detail": {"frame": shown.frame, "reason": plain_text(shown.reason, _TEXT_CHARACTERS)},
    }
    if _add(connection, snapshots, row):
        folder.write(path, picture.jpeg)


def note_clip(connection: Connection, node: int, event: EventRow, at_ms: int, received_ms: int) -> None:
    """Take what an event tells of a clip: that the device keeps it, or could not make it; other events tell nothing."""
    state = {"clip_kept": "told", "clip_failed": "failed"}.get(event.name)
    name = event.data.get("id")
    if state is None or not isinstance(name, str) or not name:
        return
    size = event.data.get("bytes")
    row = {
        "node": node,
        "clip": plain_text(name, _TEXT_CHARACTERS),
        "camera": plain_text(event.camera, _TEXT_CHARACTERS),
        "event": _told(event, "event"),
        "state": state,
        "at_ms": at_ms,
        "received_ms": received_ms,
        "size_bytes": size if type(size) is int and 0 <= size < 1 << 62 else 0,
        "detail": {
            "filename": _told(event, "filename"),
            "complete": event.data.get("complete") is True,
            "message": plain_text(event.message, _TEXT_CHARACTERS),
        },
    }
    _add(connection, clips, row)


def _told(event: EventRow, name: str) -> str:
    value = event.data.get(name)
    return plain_text(value, _TEXT_CHARACTERS) if isinstance(value, str) else ""


def find_snapshots(
    connection: Connection, wanted: Wanted, *, cursor: str = "", limit: int = 100
) -> Page[dict[str, Any]]:
    """Return pictures, newest first.

    Raises:
        InputError: the cursor or limit is wrong.
    """
    return _find(connection, snapshots, wanted, cursor, limit)


def find_clips(connection: Connection, wanted: Wanted, *, cursor: str = "", limit: int = 100) -> Page[dict[str, Any]]:
    """Return clips, newest first: those that are here, and those that devices keep.

    Raises:
        InputError: the cursor or limit is wrong.
    """
    return _find(connection, clips, wanted, cursor, limit)


def remove_orphans(connection: Connection, folder: MediaFolder, before_ms: int) -> int:
    """Remove files of days before a time that no row names, as a commit that failed leaves behind; return how many."""
    gone = 0
    for path in folder.before(before_ms):
        if not any(connection.execute(select(t.c.id).where(t.c.path == path)).first() for t in (snapshots, clips)):
            folder.remove(path)
            gone += 1
    return gone


def _day(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).date().isoformat()


def _add(connection: Connection, table: Table, row: dict[str, Any]) -> bool:
    """Write a row, and return whether it is new."""
    insert = sqlite.insert if is_sqlite(connection) else postgresql.insert
    made = connection.execute(insert(table).values(row).on_conflict_do_nothing().returning(table.c.id))
    return made.first() is not None


def _find(connection: Connection, table: Table, wanted: Wanted, cursor: str, limit: int) -> Page[dict[str, Any]]:
    asked = select(table, nodes.c.name.label("node_name")).join(nodes, nodes.c.id == table.c.node)
    if wanted.node:
        asked = asked.where(nodes.c.name == wanted.node)
    if wanted.site:
        asked = asked.where(nodes.c.site == wanted.site)
    if wanted.camera:
        asked = asked.where(table.c.camera == wanted.camera)
    if wanted.since_ms is not None:
        asked = asked.where(table.c.at_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        asked = asked.where(table.c.at_ms < wanted.until_ms)
    found = page(connection, asked, [Key(table.c.at_ms, True), Key(table.c.id, True)], cursor, limit)
    shown = [column.name for column in table.columns if column.name != "node"]
    return Page(
        [{**{name: getattr(row, name) for name in shown}, "node": row.node_name} for row in found.items], found.next
    )
