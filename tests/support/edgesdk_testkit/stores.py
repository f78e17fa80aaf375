"""Empty stores for tests: a file, and a database of a real PostgreSQL server that a test file shares."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_testkit.postgresql import PostgresqlServer, running_postgresql

STORES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server."""
    with running_postgresql() as server:
        yield server


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """What stands after `--db`, once of each kind."""
    if request.param == "sqlite":
        return str(tmp_path / "fleet.db")
    server: PostgresqlServer = request.getfixturevalue("postgresql")
    return server.new_database(f"fleet_{next(_numbers)}")
