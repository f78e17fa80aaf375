"""Tables of roll-outs: each with its rules, its devices and how far they are, what people asked, and what happened."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table

from edgesdk.fleet.store.columns import document, metadata, moment, number, reference, row_id, text

# One roll-out; `key` is its name for people and for the hash that orders devices. `revision` grows with each change:
# whoever writes says which one it has read, so that of two that drive one the later writes nothing.
rollouts = Table(
    "rollouts",
    metadata,
    row_id(),
    text("key", unique=True),
    # `bundle`, or `agent`: a release of the agent's own program, whose name and version stand in the same columns.
    text("kind", server_default="bundle"),
    text("digest"),
    text("bundle_name"),
    text("bundle_version"),
    number("release"),
    document("policy"),
    document("selection"),
    text("status", index=True),
    number("wave"),
    number("waves"),
    moment("wave_ms"),
    text("why"),
    # What it is once everybody who was asked to go back is back.
    text("after_return"),
    text("actor"),
    moment("created_ms", nullable=False),
    moment("ended_ms"),
    number("revision"),
)

rollout_devices = Table(
    "rollout_devices",
    metadata,
    reference("rollout", "rollouts", nullable=False),
    reference("node", "nodes", nullable=False),
    Column("wave", BigInteger, nullable=False),
    text("step"),
    text("failure"),
    moment("told_ms"),
    moment("confirmed_ms"),
    number("told_version"),
    text("before_digest"),
    text("said"),
    text("why"),
    # Since when a person lets the roll-out go on in spite of it.
    moment("excused_ms"),
    moment("changed_ms", nullable=False),
    PrimaryKeyConstraint("rollout", "node"),
    Index("rollout_devices_node", "node"),
)

# How a device did before, kept when its turn comes: samples are forgotten after two days, and a device may take longer.
# Beside the devices, which are read at every look. `until_ms`: the end of that time.
rollout_baselines = Table(
    "rollout_baselines",
    metadata,
    reference("rollout", "rollouts", nullable=False),
    reference("node", "nodes", nullable=False),
    moment("until_ms", nullable=False),
    document("figures", nullable=False),
    PrimaryKeyConstraint("rollout", "node"),
)

# What people want of a roll-out, in their order; `done_ms` is null until the engine has heard it.
rollout_orders = Table(
    "rollout_orders",
    metadata,
    row_id(),
    reference("rollout", "rollouts", nullable=False),
    text("verb"),
    text("why"),
    text("actor"),
    moment("created_ms", nullable=False),
    moment("done_ms"),
    Index("rollout_orders_of", "rollout", "done_ms"),
)

# What happened, the newest last; `nodes` are the first of the devices that it happened to, `devices` is how many.
rollout_log = Table(
    "rollout_log",
    metadata,
    row_id(),
    reference("rollout", "rollouts", nullable=False),
    moment("at_ms", nullable=False),
    text("what"),
    number("devices"),
    document("nodes"),
    text("why"),
    Index("rollout_log_of", "rollout", "id"),
)
