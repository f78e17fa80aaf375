"""Opens a store: a database of the version that this edgesdk knows, set so that what is committed stays.

An empty database gets its tables by itself. One of an earlier version is refused with the command that brings it up, so
that nobody's data are changed by a mere start; one of a later version is refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from edgesdk.fleet.store import address, version
from edgesdk.fleet.store.address import Address
from edgesdk_targets.errors import EdgeError, InputError, MissingExtra

# How long a writer waits for another one: a copy being made, a reader's checkpoint, the service's own writes.
BUSY_TIMEOUT_S = 5.0
# Of PostgreSQL: connections kept open, and further ones in a rush.
_POOL = 5
# SQLite's machine looks at the clock after so many of its instructions; PostgreSQL's word for what it ended.
_INSTRUCTIONS = 10_000
_CANCELLED = "57014"
_OVERFLOW = 15


def open_store(where: str | Path | Address, *, create: bool = True) -> Engine:
    """Open a store, and make its tables where there are none yet.

    Args:
        where: a file or a URL; see `address.parse`.
        create: make what is not there; otherwise that is an error.

    Raises:
        InputError: it cannot be opened, is something else, or is of another version.
        MissingExtra: PostgreSQL's client is not installed.
    """
    place = address.parse(where)
    engine = connect(place, create=create)
    try:
        version.check(engine, place, create=create)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def opened_store(where: str | Path | Address, *, create: bool = True) -> Iterator[Engine]:
    """Open a store as `open_store` does, and close it at the end."""
    engine = open_store(where, create=create)
    try:
        yield engine
    finally:
        engine.dispose()


def connect(place: Address, *, create: bool = True) -> Engine:
    """Return an engine without a look at the version; of a file, check that it is a store's.

    Raises:
        InputError: it cannot be opened, or is no store's.
        MissingExtra: PostgreSQL's client is not installed.
    """
    if place.path is not None:
        if not create and not place.path.is_file():
            raise InputError(f"There is no store {place}.", hint=f"edgesdk fleet record --db {place} makes one.")
        _make_for_its_owner(place, place.path)
        engine = create_engine(place.url, connect_args={"timeout": BUSY_TIMEOUT_S})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    else:
        engine = _postgresql(place)
    try:
        with engine.connect() as connection:
            if place.path is not None:
                version.check_kind(connection, place)
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise _unusable(place, error) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Give a connection in one transaction that is committed at the end, and rolled back on an error.

    On SQLite it has the right to write from its beginning: one that reads first and then finds that another wrote
    meanwhile would fail instead of wait.
    """
    with engine.connect().execution_options(edgesdk_writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Give a connection that sees one state of the store, whoever writes meanwhile."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def bounded(connection: Connection, seconds: float) -> Iterator[None]:
    """End what is asked within, when it takes longer than this.

    Raises:
        InputError: it took longer.
    """
    try:
        if is_sqlite(connection):
            raw: Any = connection.connection.driver_connection
            end = time.monotonic() + seconds
            raw.set_progress_handler(lambda: time.monotonic() > end, _INSTRUCTIONS)
            try:
                yield
            finally:
                raw.set_progress_handler(None, 0)
        else:
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
            yield
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    except OperationalError as error:
        if "interrupted" in str(error.orig) or getattr(error.orig, "sqlstate", "") == _CANCELLED:
            raise InputError(
                f"This was not found within {seconds:g} s.", hint="Say which device, or give a shorter time."
            ) from error
        raise


def is_sqlite(connection: Connection | Engine) -> bool:
    """Tell whether this is SQLite; else it is PostgreSQL."""
    return connection.dialect.name == "sqlite"


def _make_for_its_owner(place: Address, path: Path) -> None:
    """Make a file that only its owner may read: it holds hashes of passwords, and all that devices saw.

    What SQLite puts beside it gets the same rights from it.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(place, error) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # Transactions begin where we say so, not where the driver guesses.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    # Each commit is on the disk before anybody is told: power may fail too, not only this process.
    cursor.execute("PRAGMA synchronous = FULL")
    # The journal goes into the file after 32 MB and not after four: of what is written again and again, once.
    cursor.execute("PRAGMA wal_autocheckpoint = 8192")
    cursor.execute("PRAGMA cache_size = -65536")
    cursor.execute("PRAGMA temp_store = MEMORY")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("edgesdk_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql(place: Address) -> Engine:
    try:
        return create_engine(
            place.url,
            pool_size=_POOL,
            max_overflow=_OVERFLOW,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "edgesdk"},
        )
    except ModuleNotFoundError as error:
        raise MissingExtra("psycopg", "postgresql") from error


def _unusable(place: Address, error: Exception) -> EdgeError:
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    reason = said[0] if said else type(error).__name__
    if place.path is None:
        return InputError(
            f"{place} cannot be reached: {reason}.", hint="Is the server there, and the database and its user?"
        )
    if "not a database" in reason or "malformed" in reason:
        return InputError(f"{place} is no store of a fleet: {reason}.", hint="Give another --db.")
    return InputError(f"{place} cannot be opened: {reason}.", hint="Look at the folder and its rights.")
