"""Rows that several collectors write are written in one order, so that two never wait for each other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from edgesdk.fleet.store.now import NowNotes


class _Connection:
    """Keeps what it is told to execute."""

    dialect = SimpleNamespace(name="postgresql")

    def __init__(self) -> None:
        self.nodes: list[int] = []

    def execute(self, *_: object) -> None:
        """Take what is not looked at here."""

    def exec_driver_sql(self, _statement: str, columns: dict[str, Any]) -> None:
        self.nodes += columns["node"]


def test_how_devices_are_is_written_in_the_order_of_their_numbers_whoever_spoke_first() -> None:
    notes, connection = NowNotes(), _Connection()
    for node in (5, 3, 9, 1):
        notes.heard(node, 10_000)
    assert notes.write_due(connection, 10_000) == 4  # type: ignore[arg-type]
    assert connection.nodes == [1, 3, 5, 9]
