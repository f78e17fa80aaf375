"""Messages of devices whose identity was taken back: not stored, not acknowledged, counted.

A broker refuses such a device itself; one that does not, as it asks for passwords or for nothing, passes its words on. When
the device is enrolled again, it sends again what nobody acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from sqlalchemy import Connection

from edgesdk.fleet.store.batch import Reading
from edgesdk.fleet.store.engine import is_sqlite

# With all names as one value: a statement that names them one by one is built anew each time, which takes longer than it does.
_ASKED = {
    True: "SELECT name FROM nodes WHERE name IN (SELECT value FROM json_each(?)) AND revoked_ms IS NOT NULL",
    False: "SELECT name FROM nodes WHERE name = ANY(%s) AND revoked_ms IS NOT NULL",
}


def without_revoked(connection: Connection, reading: Reading, names: Iterable[str]) -> tuple[Reading, int]:
    """Return what may be stored of devices with these names, and of how much else it was: records, presences and pictures."""
    gone = _revoked(connection, sorted(names))
    if not gone:
        return reading, 0
    kept = Reading(
        [one for one in reading.records if one.stream.node not in gone],
        [one for one in reading.gaps if one.stream.node not in gone],
        [one for one in reading.presences if one.stream.node not in gone],
        [one for one in reading.refusals if one.stream is None or one.stream.node not in gone],
        [one for one in reading.pictures if one.stream.node not in gone],
    )
    return kept, reading.rows - kept.rows


def _revoked(connection: Connection, names: list[str]) -> set[str]:
    if not names:
        return set()
    asked = (json.dumps(names),) if is_sqlite(connection) else (names,)
    return set(connection.exec_driver_sql(_ASKED[is_sqlite(connection)], asked).scalars())
