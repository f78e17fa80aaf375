"""Which version a store is of, and bringing it to ours: Alembic's migrations lie beside this file."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from edgesdk.fleet.store.address import Address
from edgesdk_targets.errors import InputError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

# "edge", so that `file` and we can tell a store from another application's file.
APPLICATION_ID = 0x65646765
_MIGRATIONS = Path(__file__).parent / "migrations"
# Of PostgreSQL: whoever makes or changes tables holds this lock.
_LOCK = 0x65646765
# What reads a record of before, which we do not open any more.
_OLD_REPORTS = "SELECT name, body FROM record JOIN stream ON stream.id = stream JOIN node ON node.id = node"
# Alembic's environment is one for the whole process.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Versions:
    """The version of a store (empty: it has no tables) and the one that this edgesdk knows."""

    store: str
    ours: str

    @property
    def is_ours(self) -> bool:
        return self.store == self.ours


def versions(connection: Connection) -> Versions:
    """Return the version of a store and ours."""
    from alembic.migration import MigrationContext

    return Versions(MigrationContext.configure(connection).get_current_revision() or "", our_version())


def our_version() -> str:
    """Return the version that this edgesdk knows."""
    return _script().get_current_head() or ""


def is_known(revision: str) -> bool:
    """Tell whether a version is ours, or one before it."""
    return revision in {known.revision for known in _script().walk_revisions()}


def check_kind(connection: Connection, place: Address) -> None:
    """Raise InputError if a file is another application's, or the record of an edgesdk of before."""
    application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
    names = set(inspect(connection).get_table_names())
    if not names:
        return
    if application != APPLICATION_ID:
        raise InputError(f"{place} is a database, but no store of a fleet.", hint="Give another --db.")
    if "record" in names:
        raise InputError(
            f"{place} was made by an edgesdk from before 0.2, in its own format.",
            hint=(
                f"mv {place} {place}.before  (a new store is made, and devices go on where they are; the old reports stay "
                f'readable: sqlite3 {place}.before "{_OLD_REPORTS}")'
            ),
        )


def check(engine: Engine, place: Address, *, create: bool) -> None:
    """Make the tables of an empty store; raise InputError for one that is not of our version."""
    with engine.connect() as connection:
        # In this order: where another process makes the tables meanwhile, they are of a version already.
        empty = not inspect(connection).get_table_names()
        found = versions(connection)
    if found.is_ours:
        return
    if not found.store and empty and create:
        upgrade(engine)
    elif not found.store:
        raise InputError(f"{place} holds no store of a fleet.", hint="Give another --db.")
    elif is_known(found.store):
        raise InputError(
            f"{place} is of version {found.store}, this edgesdk needs {found.ours}.",
            hint=f"edgesdk fleet migrate --db {place}  (edgesdk fleet backup first, if it matters)",
        )
    else:
        raise _too_new(place, found)


@dataclass(frozen=True, slots=True)
class Migrated:
    """The versions before and after."""

    before: str
    after: str


def migrate(engine: Engine, place: Address) -> Migrated:
    """Bring a store of an earlier version to ours.

    Raises:
        InputError: it holds no store, or one of a later version.
    """
    with engine.connect() as connection:
        found = versions(connection)
    if not found.store:
        raise InputError(f"{place} holds no store of a fleet.", hint="Give another --db.")
    if not is_known(found.store):
        raise _too_new(place, found)
    return upgrade(engine)


def upgrade(engine: Engine, to: str = "head") -> Migrated:
    """Bring a store to a version, in one transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    sqlite = engine.dialect.name == "sqlite"
    if sqlite:
        # Readers go on while somebody writes; it stays with the file.
        with engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None  # noqa: S101  (for the type)
            connection.rollback()
            raw.execute("PRAGMA journal_mode = WAL")
    writes = engine.connect().execution_options(edgesdk_writes=True)
    with _ONE_AT_A_TIME, writes as connection, connection.begin():
        if sqlite:
            connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        before = versions(connection).store
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        return Migrated(before, versions(connection).store)


def _too_new(place: Address, found: Versions) -> InputError:
    return InputError(
        f"{place} was made by a later edgesdk (its version {found.store}, this one's {found.ours}).",
        hint="pip install --upgrade edgesdk",
    )


def _script() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory(str(_MIGRATIONS))
