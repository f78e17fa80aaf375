"""Empty stores for tests: a file, and a database of the PostgreSQL server that all tests of a process share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_testkit.postgresql import PostgresqlServer

STORES = ("sqlite", "postgresql")
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def postgresql(postgresql_server: PostgresqlServer) -> PostgresqlServer:
    """The running server, which others use too: who stops or kills one starts one of its own."""
    return postgresql_server


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """What stands after `--db`, once of each kind."""
    if request.param == "sqlite":
        yield str(tmp_path / "fleet.db")
        return
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    name = f"fleet_{next(_numbers)}"
    yield server.new_database(name)
    server.drop_database(name)
