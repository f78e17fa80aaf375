"""A backup becomes a store again: whole, or not at all."""

from __future__ import annotations

import base64
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Connection, Engine, inspect, text

from edgesdk.fleet.store import numbering, version
from edgesdk.fleet.store.backup import FORMAT, KIND, MANIFEST, Manifest, Progress
from edgesdk.fleet.store.engine import is_sqlite, writing
from edgesdk.fleet.store.media import MediaFolder
from edgesdk.fleet.store.partitions import Partitions
from edgesdk.fleet.store.put_back import note_put_back
from edgesdk.fleet.store.tables import BY_DAY, metadata
from edgesdk_targets.errors import InputError

_ROWS_AT_ONCE = 2000
_LONGEST_LINE = 64 << 20


class _Manifest(BaseModel):
    kind: str
    format: int
    version: str
    # At most the last day of the calendar.
    made_ms: Annotated[int, Field(ge=0, lt=253_402_300_800_000)]
    tables: dict[str, int]
    media: int = 0
    numbers: dict[str, Annotated[int, Field(ge=0, lt=1 << 62)]] = {}


def restore(
    engine: Engine, source: Path, now_ms: int, *, media: MediaFolder | None = None, progress: Progress | None = None
) -> Manifest:
    """Fill an empty store from a backup, and bring it to our version.

    Args:
        engine: of a store without devices and people; its tables are made where there are none.
        media: where pictures and clips go; without it they are left out.
        progress: is told each table's name and how many rows of it are there.

    Raises:
        InputError: the file is no backup, is damaged or of a later edgesdk, or the store is not empty.
    """
    with _opened(source) as archive:
        manifest = read_manifest(archive, source)
        _check_empty(engine)
        if media is not None:
            _check_paths(archive, media)
        if not _has_tables(engine):
            version.upgrade(engine, manifest.version)
        elif _version(engine) != manifest.version:
            raise InputError(
                f"The store is of version {_version(engine)}, the backup of {manifest.version}.",
                hint="Restore into a new file, or an empty database.",
            )
        with writing(engine) as connection:
            _fill(connection, archive, manifest, now_ms, progress)
        version.upgrade(engine)
        with writing(engine) as connection:
            note_put_back(connection, source.name, manifest.made_ms, now_ms)
        if media is not None:
            _unpack(archive, media)
    return manifest


def read_manifest(archive: zipfile.ZipFile, source: Path) -> Manifest:
    """Return what a backup says that it holds.

    Raises:
        InputError: it is no backup, or of a later edgesdk.
    """
    try:
        told = _Manifest.model_validate_json(archive.read(MANIFEST))
    except (KeyError, ValidationError) as error:
        raise InputError(f"{source} is no backup of a fleet.", hint="edgesdk fleet backup makes one.") from error
    if told.kind != KIND:
        raise InputError(f"{source} is no backup of a fleet.", hint="edgesdk fleet backup makes one.")
    if told.format > FORMAT or not version.is_known(told.version):
        raise InputError(f"{source} was made by a later edgesdk.", hint="pip install --upgrade edgesdk")
    return Manifest(told.version, told.made_ms, told.tables, told.media, told.numbers)


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except FileNotFoundError as error:
        raise InputError(f"There is no backup {source}.", hint="") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise InputError(f"{source} is damaged, or no backup: {error}.", hint="Nothing of it was taken.") from error


def _has_tables(engine: Engine) -> bool:
    return bool(inspect(engine).get_table_names())


def _version(engine: Engine) -> str:
    with engine.connect() as connection:
        return version.versions(connection).store


def _check_empty(engine: Engine) -> None:
    if not _has_tables(engine):
        return
    with engine.connect() as connection:
        for name in ("nodes", "users", "records", "samples"):
            if connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).first() is not None:  # noqa: S608
                raise InputError("The store is not empty.", hint="Restore into a new file, or an empty database.")


def _fill(
    connection: Connection, archive: zipfile.ZipFile, manifest: Manifest, now_ms: int, progress: Progress | None
) -> None:
    known = set(inspect(connection).get_table_names())
    partitions = Partitions()
    if is_sqlite(connection):
        connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
    for name, expected in manifest.tables.items():
        if name not in known:
            raise InputError(f"The backup holds a table {name[:40]!r} that its version does not have.", hint="")
        # What a new store was born with gives way.
        connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608  (a name that the database knows)
        count = 0
        with archive.open(f"tables/{name}.jsonl") as stream:
            columns = _columns(connection, name, json.loads(stream.readline(_LONGEST_LINE)))
            while rows := [_row(line) for line in islice(stream, _ROWS_AT_ONCE)]:
                if not is_sqlite(connection) and name in {table.name for table in BY_DAY}:
                    at = columns.index("at_ms")
                    partitions.make_for(connection, name, (row[at] for row in rows), now_ms)
                _insert(connection, name, columns, rows)
                count += len(rows)
                if progress is not None:
                    progress(name, count)
        if count != expected:
            raise InputError(f"The backup holds {count} rows of {name} and not {expected}.", hint="It is damaged.")
    numbering.count_on(connection, [name for name in manifest.tables if name in metadata.tables], manifest.numbers)


def _columns(connection: Connection, table: str, named: Any) -> list[str]:
    here = {column["name"] for column in inspect(connection).get_columns(table)}
    if not isinstance(named, list) or not set(named) <= here:
        raise InputError(f"The backup's columns of {table} are not those of its version.", hint="It is damaged.")
    return named


def _row(line: bytes) -> list[Any]:
    values = json.loads(line)
    return [base64.b64decode(value["b64"]) if isinstance(value, dict) else value for value in values]


def _insert(connection: Connection, table: str, columns: list[str], rows: list[list[Any]]) -> None:
    quoted = [connection.dialect.identifier_preparer.quote(column) for column in columns]
    raw: Any = connection.connection.driver_connection
    if is_sqlite(connection):
        places = ", ".join("?" * len(columns))
        raw.executemany(f"INSERT INTO {table} ({', '.join(quoted)}) VALUES ({places})", rows)  # noqa: S608
        return
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(quoted)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _check_paths(archive: zipfile.ZipFile, media: MediaFolder) -> None:
    # Before anything is written: an archive is anybody's.
    for entry in _pictures(archive):
        media.place_of(entry.filename.removeprefix("media/"))


def _pictures(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    return [entry for entry in archive.infolist() if entry.filename.startswith("media/") and not entry.is_dir()]


def _unpack(archive: zipfile.ZipFile, media: MediaFolder) -> None:
    for entry in _pictures(archive):
        media.write(entry.filename.removeprefix("media/"), archive.read(entry))
