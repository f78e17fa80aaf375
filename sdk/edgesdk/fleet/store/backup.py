"""A whole store in one file, while it is used: rows as JSON lines in a zip, the same of SQLite and of PostgreSQL.

So a backup of a file can be restored into a server: that is how a fleet that has grown moves. What the file holds is one
state of the store, whoever writes meanwhile.

    manifest.json          {"kind", "format", "version", "made_ms", "tables": {name: rows}, "media": files,
                            "numbers": {name: the last number that a table gave to a row}}
    tables/NAME.jsonl      first the names of the columns, then one row a line
    media/…                pictures and clips, if asked for
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, Engine, Text, cast, select, type_coerce
from sqlalchemy.sql.schema import Table

from edgesdk.fleet.store import numbering, version
from edgesdk.fleet.store.engine import is_sqlite, reading
from edgesdk.fleet.store.media import MediaFolder
from edgesdk.fleet.store.tables import metadata
from edgesdk_targets.errors import InputError

KIND = "edgesdk-fleet-backup"
FORMAT = 1
MANIFEST = "manifest.json"
_ROWS_AT_ONCE = 2000

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds.

    Attributes:
        version: of the store's tables.
        tables: rows of each; media: files.
        numbers: the last that each table gave to a row, be it gone since.
    """

    version: str
    made_ms: int
    tables: dict[str, int]
    media: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    kind: str = KIND
    format: int = FORMAT


def back_up(
    engine: Engine, target: Path, made_ms: int, *, media: MediaFolder | None = None, progress: Progress | None = None
) -> Manifest:
    """Write a backup; the file is there when it is whole.

    Args:
        target: the file; must not be there yet. Only its owner may read it: it holds hashes of passwords.
        media: is put in too, where given.
        progress: is told each table's name and how many rows of it are written.

    Raises:
        InputError: the file is there, or cannot be written.
    """
    if target.exists():
        raise InputError(f"{target} is there already.", hint="Give another name, or remove it.")
    part = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                made = _write(engine, archive, made_ms, media, progress or _silent)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written: {error.strerror}.", hint="Look at the folder.") from error
    finally:
        part.unlink(missing_ok=True)
    return made


def _write(
    engine: Engine, archive: zipfile.ZipFile, made_ms: int, media: MediaFolder | None, progress: Progress
) -> Manifest:
    counts = {}
    with reading(engine) as connection:
        found = version.versions(connection).store
        for table in metadata.sorted_tables:
            with archive.open(f"tables/{table.name}.jsonl", "w", force_zip64=True) as stream:
                counts[table.name] = _write_rows(connection, table, stream, progress)
        numbers = numbering.positions(connection)
    files = _write_media(archive, media) if media is not None else 0
    manifest = Manifest(found, made_ms, counts, files, numbers)
    archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
    return manifest


def _write_rows(connection: Connection, table: Table, stream: Any, progress: Progress) -> int:
    columns = list(table.columns)
    stream.write(_line([column.name for column in columns]))
    asked = select(*(_plain(connection, column) for column in columns))
    count = 0
    rows = connection.execution_options(stream_results=True, yield_per=_ROWS_AT_ONCE).execute(asked)
    for part in rows.partitions():
        stream.write(b"".join(_line([_value(value) for value in row]) for row in part))
        count += len(part)
        progress(table.name, count)
    return count


def _plain(connection: Connection, column: Column[Any]) -> Any:
    """Return a column as the database writes it: JSON as text."""
    if not isinstance(column.type, JSON):
        return column
    return type_coerce(column, Text) if is_sqlite(connection) else cast(column, Text).label(column.name)


def _write_media(archive: zipfile.ZipFile, media: MediaFolder) -> int:
    count = 0
    for path in sorted(media.root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            # Pictures are compressed already.
            archive.write(path, f"media/{path.relative_to(media.root).as_posix()}", zipfile.ZIP_STORED)
            count += 1
    return count


def _line(values: list[Any]) -> bytes:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def _value(value: Any) -> Any:
    return {"b64": base64.b64encode(value).decode()} if isinstance(value, (bytes, memoryview)) else value


def _silent(_table: str, _rows: int) -> None:
    return
