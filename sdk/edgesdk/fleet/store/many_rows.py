"""Many rows in few statements of SQLite.

Python's driver lets other threads run while a statement of a file does its work, and takes its turn again after each. Beside
a thread that is busy, that turn comes milliseconds later: five hundred rows one by one then take forty times as long as
they do alone. So rows go in by the thousand; as their number is a power of two, the driver prepares each text once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Connection

# A statement of SQLite takes so many values at most.
_MAX_VALUES = 32_766
_ROWS_A_STATEMENT = tuple(1 << power for power in range(10, -1, -1))


def with_values(
    connection: Connection, statement: str, rows: Sequence[Sequence[Any]], further: tuple[Any, ...] = ()
) -> None:
    """Execute a statement for many rows.

    Args:
        statement: with `{rows}` where the rows stand, `VALUES {rows}`.
        rows: each of the same length.
        further: values of what stands behind the rows.
    """
    first = 0
    for size in _ROWS_A_STATEMENT:
        while len(rows) - first >= size and size * len(rows[first]) + len(further) <= _MAX_VALUES:
            part = rows[first : first + size]
            connection.exec_driver_sql(_text(statement, size, len(part[0])), (*chain.from_iterable(part), *further))
            first += size


@lru_cache(64)
def _text(statement: str, rows: int, columns: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return statement.replace("{rows}", ", ".join([row] * rows))
