"""Tables of devices: who they are, what a person said of them, and how each is at this moment."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, Table

from edgesdk.fleet.store.columns import document, metadata, moment, number, reference, row_id, text
from edgesdk.fleet.store.figures import sample_columns

# A place that devices stand in; `nodes.site` is its name.
sites = Table(
    "sites",
    metadata,
    text("name", primary_key=True),
    text("title"),
    text("timezone"),
    text("note"),
    moment("created_ms", nullable=False),
)

# One device: what changes when it is born anew, or when a person says so. `name` is `{tenant}.{device}`, as in topics.
# A device that was enrolled and never spoke has no `first_seen_ms`; one that was never enrolled has no `enrolled_ms`.
nodes = Table(
    "nodes",
    metadata,
    row_id(),
    text("name", unique=True),
    text("title"),
    text("note"),
    text("site", index=True),
    text("target", index=True),
    text("variant"),
    text("runtime"),
    text("agent_version"),
    # Of the release by whose environment the agent runs; empty for one that was installed otherwise.
    text("agent_digest"),
    text("bundle_name"),
    text("bundle_version"),
    text("bundle_digest"),
    document("hardware"),
    document("cameras"),
    document("capabilities"),
    # The name of the configuration template that it follows; see `templates`.
    text("template"),
    moment("created_ms", nullable=False),
    moment("enrolled_ms"),
    moment("first_seen_ms"),
    moment("born_ms"),
    moment("revoked_ms"),
    Index("ix_nodes_bundle", "bundle_name", "bundle_version"),
)

node_tags = Table(
    "node_tags",
    metadata,
    reference("node", "nodes", nullable=False),
    text("tag", server_default=None),
    PrimaryKeyConstraint("node", "tag"),
    Index("ix_node_tags_tag", "tag", "node"),
)

# How a device is: narrow, and written at most every few seconds for each, so that a list of ten thousand is one look.
# `said` is what it or its will said last (online, offline), `heard_ms` when anything came of it; together they make the
# state that people see (see `devices.state_of`). Figures are those of its last sample, scaled as in `samples`; counters
# here are totals since the agent's start.
now = Table(
    "now",
    metadata,
    Column("node", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    text("said"),
    text("reason"),
    text("health"),
    text("boot_id"),
    number("session"),
    text("step"),
    Column("clock_trusted", Boolean, nullable=True),
    moment("said_ms"),
    moment("heard_ms"),
    moment("sample_ms"),
    *sample_columns(),
    document("latency_ms"),
    document("dropped_by_cause"),
    text("last_result"),
    moment("last_result_ms"),
    text("last_event"),
    moment("last_event_ms"),
    postgresql_with={"fillfactor": 50},
)

# The last birth, state and report of what is installed, as they were said.
presence = Table(
    "presence",
    metadata,
    reference("node", "nodes", nullable=False),
    Column("kind", Integer, nullable=False),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    text("body"),
    PrimaryKeyConstraint("node", "kind"),
)
