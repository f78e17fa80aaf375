"""Every table of a fleet's store, by theme; SQLAlchemy Core, the same on SQLite and PostgreSQL.

A change of a table is a new file in `migrations/versions`, never a change of an old one.
"""

from __future__ import annotations

from edgesdk.fleet.store.columns import metadata
from edgesdk.fleet.store.tables_control import (
    bulk_commands,
    command_replies,
    commands,
    desired,
    reported,
    template_overrides,
    templates,
)
from edgesdk.fleet.store.tables_devices import node_tags, nodes, now, presence, sites
from edgesdk.fleet.store.tables_people import api_tokens, audit, certificates, enrolments, sessions, settings, users
from edgesdk.fleet.store.tables_reports import (
    clips,
    events,
    gaps,
    jobs,
    quarantine,
    records,
    sample_hours,
    sample_minutes,
    samples,
    snapshots,
    streams,
)
from edgesdk.fleet.store.tables_rollouts import (
    rollout_baselines,
    rollout_devices,
    rollout_log,
    rollout_orders,
    rollouts,
)
from edgesdk.fleet.store.tables_watch import alert_rules, alerts, channels, notifications, silences

# Where rows come by the thousand a second and go by age; on PostgreSQL each day is a partition of its own.
BY_DAY = (records, samples, sample_minutes)

__all__ = [
    "BY_DAY",
    "alert_rules",
    "alerts",
    "api_tokens",
    "audit",
    "bulk_commands",
    "certificates",
    "channels",
    "clips",
    "command_replies",
    "commands",
    "desired",
    "enrolments",
    "events",
    "gaps",
    "jobs",
    "metadata",
    "node_tags",
    "nodes",
    "notifications",
    "now",
    "presence",
    "quarantine",
    "records",
    "reported",
    "rollout_baselines",
    "rollout_devices",
    "rollout_log",
    "rollout_orders",
    "rollouts",
    "sample_hours",
    "sample_minutes",
    "samples",
    "sessions",
    "settings",
    "silences",
    "sites",
    "snapshots",
    "streams",
    "template_overrides",
    "templates",
    "users",
]
