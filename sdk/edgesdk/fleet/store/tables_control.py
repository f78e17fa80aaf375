"""Tables of what devices are told: commands and their replies, what each shall become, configuration templates."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, PrimaryKeyConstraint, Table

from edgesdk.fleet.store.columns import document, metadata, moment, number, reference, row_id, text

# One command for many devices, chosen when it was given.
bulk_commands = Table(
    "bulk_commands",
    metadata,
    row_id(),
    text("verb"),
    document("arguments"),
    # By which filters the devices were chosen.
    document("selection"),
    number("devices"),
    text("actor"),
    moment("created_ms", nullable=False),
)

# One command for one device; `id` is that of the wire. Its state: waiting, sent, accepted, done, refused, expired.
commands = Table(
    "commands",
    metadata,
    text("id", primary_key=True),
    reference("node", "nodes", nullable=False),
    reference("bulk", "bulk_commands"),
    text("verb"),
    document("arguments"),
    text("actor"),
    text("state", server_default="waiting"),
    moment("created_ms", nullable=False),
    moment("deadline_ms", nullable=False),
    moment("sent_ms"),
    moment("finished_ms"),
    Column("ok", Boolean, nullable=True),
    text("code"),
    text("message"),
    document("data"),
    Index("commands_of_node", "node", "created_ms"),
    Index("commands_time", "created_ms"),
    Index("commands_state", "state", "created_ms"),
    Index("commands_bulk", "bulk"),
)

# Every answer that came, in order; the last one's content stands in the command as well.
command_replies = Table(
    "command_replies",
    metadata,
    row_id(),
    text("command"),
    reference("node", "nodes", nullable=False),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
    text("step"),
    Column("ok", Boolean, nullable=False),
    text("code"),
    text("message"),
    document("data"),
    Index("command_replies_command", "command"),
)

# What a device shall become; the retained document's last version. `sent_ms` is null while the broker does not have it.
desired = Table(
    "desired",
    metadata,
    reference("node", "nodes", primary_key=True),
    number("version"),
    document("state"),
    text("actor"),
    moment("updated_ms", nullable=False),
    moment("sent_ms"),
)

# What became of it, as the device says.
reported = Table(
    "reported",
    metadata,
    reference("node", "nodes", primary_key=True),
    number("version"),
    text("config_hash"),
    text("step"),
    document("active"),
    document("previous"),
    document("applied"),
    document("refused"),
    document("pending"),
    moment("at_ms", nullable=False),
    moment("received_ms", nullable=False),
)

# Configuration that many devices share; `body` is a part of edgesdk.yaml as JSON. `version` grows with each change.
templates = Table(
    "templates",
    metadata,
    row_id(),
    text("name", unique=True),
    number("version", server_default="1"),
    document("body"),
    text("note"),
    text("actor"),
    moment("created_ms", nullable=False),
    moment("updated_ms", nullable=False),
)

# What differs from a template: at a site (`scope` = site, `name` = its name), or on one device (`scope` = node).
template_overrides = Table(
    "template_overrides",
    metadata,
    reference("template", "templates", nullable=False),
    text("scope", server_default=None),
    text("name", server_default=None),
    document("body"),
    text("actor"),
    moment("updated_ms", nullable=False),
    PrimaryKeyConstraint("template", "scope", "name"),
)
