"""What a store that was put back from a backup is told of that: nobody holds its work, and people see from when it is."""

from __future__ import annotations

from datetime import datetime, timezone

from sqlalchemy import Connection, insert, update

from edgesdk.fleet.store import rollouts
from edgesdk.fleet.store.audit import add_entry
from edgesdk.fleet.store.tables import jobs, rollout_log

_WHO = "command line"


def note_put_back(connection: Connection, source: str, made_ms: int, now_ms: int) -> None:
    """Note in a store that it is a backup.

    A roll-out that was under way then goes on from there, and says so: what devices say they run holds from now on.

    Args:
        source: the backup's file name; made_ms: when it was made.
    """
    # Who did the work when it was made does it in another store, if anywhere.
    connection.execute(update(jobs).where(jobs.c.holder != "").values(holder=""))
    made = datetime.fromtimestamp(made_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    add_entry(connection, _WHO, "store.restore", source, detail={"made": made})
    for number in rollouts.active(connection):
        connection.execute(
            insert(rollout_log).values(
                rollout=number, at_ms=now_ms, what="put back", devices=0, nodes=[],
                why=f"the store is a backup of {made}: what devices say they run holds",
            )
        )  # fmt: skip
