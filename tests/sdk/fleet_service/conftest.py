"""A real service with a few devices, and somebody of each role: on a file, and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgesdk_testkit.fleet_seed import seed
from edgesdk_testkit.fleet_service import FleetService
from edgesdk_testkit.postgresql import PostgresqlServer
from edgesdk_testkit.stores import STORES


@pytest.fixture(scope="module", params=STORES)
def store_of_service(request: pytest.FixtureRequest) -> str:
    """What `fleet serve --db` takes; empty for a file in the service's folder."""
    if request.param == "sqlite":
        return ""
    server: PostgresqlServer = request.getfixturevalue("postgresql_server")
    return server.new_database(str(request.module.__name__).rpartition(".")[2])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, store_of_service: str) -> Iterator[FleetService]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    made = FleetService(folder, db=store_of_service)
    seed(made.engine, 12, minutes=5, media=made.media)
    for role in ("viewer", "operator", "admin"):
        made.add_user(role)
    with made:
        yield made
