"""Tables of alerts: rules, what they found, who is told and who does not want to be."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Table
from sqlalchemy import text as sql

from edgesdk.fleet.store.columns import document, metadata, moment, number, reference, row_id, text

# `kind` says what is looked at (offline, age, temperature, fps); `selection` which devices, by the same filters as lists.
# It fires when `threshold` is passed for `for_s`, and clears when `clear_threshold` is kept for `clear_s`.
alert_rules = Table(
    "alert_rules",
    metadata,
    row_id(),
    text("name", unique=True),
    text("kind"),
    text("severity", server_default="warning"),
    Column("threshold", Float, nullable=True),
    Column("clear_threshold", Float, nullable=True),
    number("for_s"),
    number("clear_s"),
    document("selection"),
    document("settings"),
    # Names of `channels`; all enabled ones when null.
    document("channels"),
    Column("enabled", Boolean, nullable=False, server_default=sql("true")),
    text("actor"),
    moment("created_ms", nullable=False),
    moment("updated_ms", nullable=False),
)

# One rule about one device, from the moment it is suspected: pending, firing, cleared. One open alert for each pair.
alerts = Table(
    "alerts",
    metadata,
    row_id(),
    reference("rule", "alert_rules", nullable=False),
    reference("node", "nodes"),
    text("state"),
    text("severity"),
    Column("value", Float, nullable=True),
    text("message"),
    moment("since_ms", nullable=False),
    moment("fired_ms"),
    # Since when it has been below the clearing threshold; null while it is not.
    moment("calm_ms"),
    moment("cleared_ms"),
    moment("acknowledged_ms"),
    text("acknowledged_by"),
    moment("updated_ms", nullable=False),
    Index(
        "alerts_open",
        "rule",
        "node",
        unique=True,
        sqlite_where=sql("cleared_ms IS NULL"),
        postgresql_where=sql("cleared_ms IS NULL"),
    ),
    # Asked for every second: what fires, and whether anything changed.
    Index("alerts_firing", "node", sqlite_where=sql("state = 'firing'"), postgresql_where=sql("state = 'firing'")),
    Index("alerts_changed", "updated_ms"),
    Index("alerts_over", "cleared_ms"),
    Index("alerts_time", "since_ms"),
    Index("alerts_of_node", "node", "since_ms"),
)

# While it lasts, nobody is told of alerts that it covers; they are shown all the same.
silences = Table(
    "silences",
    metadata,
    row_id(),
    document("selection"),
    reference("rule", "alert_rules"),
    moment("starts_ms", nullable=False),
    moment("ends_ms", nullable=False),
    text("reason"),
    text("actor"),
    moment("created_ms", nullable=False),
)

# Ways of telling somebody: webhook, email, mqtt. Secrets in `settings` are sealed before they come here.
channels = Table(
    "channels",
    metadata,
    row_id(),
    text("name", unique=True),
    text("kind"),
    document("settings"),
    Column("enabled", Boolean, nullable=False, server_default=sql("true")),
    moment("created_ms", nullable=False),
    moment("updated_ms", nullable=False),
)

# One message to one channel, until it is delivered or given up.
notifications = Table(
    "notifications",
    metadata,
    row_id(),
    reference("alert", "alerts", nullable=False),
    reference("channel", "channels", nullable=False),
    text("transition"),
    # waiting, sent, silenced, failed
    text("state", server_default="waiting"),
    number("attempts"),
    moment("created_ms", nullable=False),
    moment("due_ms", nullable=False),
    moment("sent_ms"),
    text("problem"),
    Index("notifications_due", "state", "due_ms"),
)
