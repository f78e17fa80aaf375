"""Tables of what devices report.

Rows of the large ones are narrow: node and epoch stand in them as one integer, and nothing refers to them by a foreign
key, which would cost a look for each row. `(stream, seq)` is unique, so that what comes twice is stored once. `upto` and
`ahead` of a stream say what is settled, written in the same transaction as the rows themselves: what is deleted later
for its age stays settled.

On PostgreSQL, `records`, `samples` and `sample_minutes` are partitioned by the day of `at_ms`, and their keys hold it.
`at_ms` is the device's time, or ours where it does not trust its own clock or that is absurd.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, UniqueConstraint

from edgesdk.fleet.store.columns import Id, document, metadata, moment, number, reference, row_id, text
from edgesdk.fleet.store.figures import rolled_columns, sample_columns

# One device's sequence; its numbers count from 1 within an epoch, which is born with the device's outbox.
streams = Table(
    "streams",
    metadata,
    row_id(),
    reference("node", "nodes", nullable=False),
    text("epoch", server_default=None),
    number("upto"),
    text("ahead", server_default="[]"),
    UniqueConstraint("node", "epoch"),
    # Each row changes many times a minute: room for its new version beside it.
    postgresql_with={"fillfactor": 50},
)

# Every report of a sequence, as it was said. `camera` and `labels` (`|person|car|`) are those of a result.
records = Table(
    "records",
    metadata,
    row_id(),
    Column("stream", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("node", Id, nullable=False),
    Column("kind", Integer, nullable=False),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    text("camera", nullable=True),
    text("labels", nullable=True),
    text("body", server_default=None, nullable=False),
    Index("records_place", "stream", "seq", unique=True),
    Index("records_of_node", "node", "at_ms"),
    Index("records_time", "at_ms"),
)

# One sample of a device's telemetry, in figures (see `figures`); `id` grows with each commit, and is what the roll-up
# goes by. `latency_ms` and `dropped_by_cause` are JSON, and null where they would be empty.
samples = Table(
    "samples",
    metadata,
    row_id(),
    Column("node", Id, nullable=False),
    moment("at_ms", nullable=False),
    *sample_columns(),
    text("latency_ms", nullable=True),
    text("dropped_by_cause", nullable=True),
    Index("samples_of_node", "node", "at_ms"),
    # Numbers of rows that are gone are not given again: the roll-up would pass over those who get them.
    sqlite_autoincrement=True,
)


def _rolled(name: str) -> Table:
    return Table(
        name,
        metadata,
        Column("node", Id, nullable=False),
        moment("at_ms", nullable=False),
        Column("n", BigInteger, nullable=False),
        *rolled_columns(),
        text("latency_ms", nullable=True),
        text("dropped_by_cause", nullable=True),
        PrimaryKeyConstraint("node", "at_ms"),
        Index(f"{name}_time", "at_ms"),
        sqlite_with_rowid=False,
    )


# What the samples of a minute, and of an hour, add up to; `at_ms` is its beginning, `n` the number of samples.
sample_minutes = _rolled("sample_minutes")
sample_hours = _rolled("sample_hours")

# Events, kept longer than other records.
events = Table(
    "events",
    metadata,
    row_id(),
    Column("stream", Id, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("node", Id, nullable=False),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    text("name"),
    text("severity"),
    text("camera"),
    text("message"),
    document("data"),
    UniqueConstraint("stream", "seq"),
    Index("events_of_node", "node", "at_ms"),
    Index("events_time", "at_ms"),
    # What a roll-out asks of thousands of devices every few seconds: their words of some names since a time.
    Index("events_by_name", "node", "name", "received_ms"),
    sqlite_autoincrement=True,
)

# Numbers of which a device says that it will never send them, and why.
gaps = Table(
    "gaps",
    metadata,
    Column("stream", Id, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("declared_seq", BigInteger, nullable=False),
    moment("at_ms", nullable=False),
    text("cause"),
    text("reports"),
    # When the device's reports before and after the gap were made: where charts draw nothing.
    moment("from_ms"),
    moment("to_ms"),
    PrimaryKeyConstraint("stream", "first", "last", "declared_seq"),
)

# What could not be read; the newest are kept, and `id` counts all.
quarantine = Table(
    "quarantine",
    metadata,
    row_id(),
    moment("received_ms", nullable=False),
    text("node", nullable=True),
    text("topic"),
    text("reason"),
    number("size_bytes"),
    Column("payload", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

# Pictures and clips that came; the bytes lie in files, `path` is relative to the store's media folder.
snapshots = Table(
    "snapshots",
    metadata,
    row_id(),
    reference("node", "nodes", nullable=False),
    text("snapshot"),
    text("camera"),
    text("event"),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    text("content_type"),
    number("size_bytes"),
    number("width"),
    number("height"),
    text("sha256"),
    text("path"),
    document("detail"),
    UniqueConstraint("node", "snapshot"),
    Index("snapshots_of_node", "node", "at_ms"),
    Index("snapshots_time", "at_ms"),
)
clips = Table(
    "clips",
    metadata,
    row_id(),
    reference("node", "nodes", nullable=False),
    text("clip"),
    text("camera"),
    text("event"),
    # `told` by the device that keeps it, `asked` for, `stored` here, `failed`.
    text("state"),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    number("duration_ms"),
    text("content_type"),
    number("size_bytes"),
    text("sha256"),
    text("path"),
    document("detail"),
    UniqueConstraint("node", "clip"),
    Index("clips_of_node", "node", "at_ms"),
    Index("clips_time", "at_ms"),
)

# Work that goes on beside: who does it now, and how far it is. One holder at a time, however many processes there are.
jobs = Table(
    "jobs",
    metadata,
    text("name", primary_key=True),
    text("holder"),
    moment("held_until_ms"),
    number("cursor"),
    moment("ran_ms"),
    number("took_ms"),
    text("problem"),
)
