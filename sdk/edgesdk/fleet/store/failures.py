"""What goes wrong in a database: what time may mend, what one message is to blame for, and what ends it all."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from edgesdk_targets.errors import EdgeError

# PostgreSQL calls these errors of the statement: a value of a type that the column is not of.
_OF_VALUES = {"42846", "42804"}


class StoreBusy(EdgeError):
    """A disk that is full, a file that somebody locks, a server that is away: try again, nothing was written."""

    code = "store_busy"


class StoreFailed(EdgeError):
    """The store cannot be written any more."""

    code = "store_failed"


class Unstorable(StoreFailed):
    """Something in what was to be written is none that the database takes; the store itself is well."""

    code = "unstorable"


@contextmanager
def told_apart(place: object) -> Iterator[None]:
    """Turn a database's errors into ours: those of SQLAlchemy, and those that COPY passes by it.

    Raises:
        StoreBusy, StoreFailed, Unstorable: as the error is.
    """
    try:
        yield
    except PoolTimeout as error:
        raise StoreBusy(f"{place}: all connections are in use", hint="") from error
    except OSError as error:
        # A picture that cannot be written, for one: the disk is full.
        raise StoreBusy(f"{place}: {error.strerror or error}", hint="Nothing is lost; it is tried again.") from error
    except _driver_errors() as error:
        raise _ours(place, error) from error


def passing(error: Exception) -> str:
    """Return what is wrong with the store in words, where time may mend it; empty for every other error."""
    try:
        with told_apart("the store"):
            raise error
    except StoreBusy as busy:
        return busy.message
    except Exception:  # noqa: BLE001  (whatever it is, it is no passing trouble)
        return ""


def _ours(place: object, error: Exception) -> EdgeError:
    reason = _first_line(error)
    # Both drivers name their errors as PEP 249 does, whoever wraps them.
    kinds = {kind.__name__ for kind in type(_said(error)).__mro__}
    passing = kinds & {"OperationalError", "InterfaceError"} or getattr(error, "connection_invalidated", False)
    if passing and "malformed" not in reason:
        return StoreBusy(f"{place}: {reason}", hint="Nothing is lost; it is tried again.")
    if kinds & {"DataError", "IntegrityError"} or getattr(_said(error), "sqlstate", "") in _OF_VALUES:
        return Unstorable(f"{place} does not take this: {reason}.", hint="")
    return StoreFailed(
        f"{place} cannot be written any more: {reason}.",
        hint="Move it away and begin a new one, or restore a backup; devices send again what was not acknowledged.",
    )


def _driver_errors() -> tuple[type[Exception], ...]:
    # Nobody raises what is not imported.
    driver = sys.modules.get("psycopg")
    return (DBAPIError,) if driver is None else (DBAPIError, driver.Error)


def _said(error: Exception) -> BaseException:
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _first_line(error: Exception) -> str:
    said = _said(error)
    lines = str(said).strip().splitlines()
    return lines[0] if lines else type(said).__name__
