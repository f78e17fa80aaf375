"""Where a store is: a file's path, or the URL of a database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from edgesdk_targets.errors import InputError

_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")


@dataclass(frozen=True, slots=True)
class Address:
    """One store's place.

    Attributes:
        url: as SQLAlchemy wants it.
        path: the file, where it is one.
    """

    url: URL
    path: Path | None

    @property
    def is_file(self) -> bool:
        return self.path is not None

    def __str__(self) -> str:
        """Return it as a person wrote it, without a password."""
        return str(self.path) if self.path is not None else self.url.render_as_string(hide_password=True)


def parse(text: str | Path | Address) -> Address:
    """Read what stands after `--db`: `fleet.db`, `sqlite:///fleet.db`, `postgresql://user@host/fleet`.

    Raises:
        InputError: it is none of these.
    """
    if isinstance(text, Address):
        return text
    written = str(text)
    if "://" not in written:
        return _file(Path(written))
    try:
        url = make_url(written)
    except (ArgumentError, ValueError) as error:
        # The text is not repeated: it may hold a password.
        raise InputError("--db is no URL of a database.", hint="fleet.db, or postgresql://user@host/fleet") from error
    if url.drivername in _POSTGRESQL:
        return Address(url.set(drivername="postgresql+psycopg"), None)
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        return _file(Path(url.database))
    raise InputError(
        f"--db {url.drivername}://… is not supported.", hint="A file (fleet.db), or postgresql://user@host/fleet"
    )


def _file(path: Path) -> Address:
    return Address(URL.create("sqlite", database=str(path)), path)


def bundles_beside(place: Address) -> Path:
    """Return the folder of the bundles that belong to a store: beside its file; of a server, in the present folder."""
    return place.path.with_name(f"{place.path.name}-bundles") if place.path else Path("fleet-bundles")
