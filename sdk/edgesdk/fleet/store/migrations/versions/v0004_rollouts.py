"""Roll-outs: another model to many devices, wave by wave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _row_id() -> sa.Column[int]:
    return sa.Column("id", _Id, primary_key=True, autoincrement=True)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def _moment(name: str, *, nullable: bool = True) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _document(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(none_as_null=True), nullable=True)


def _of(table: str, name: str, target: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{target}.id", ondelete="CASCADE", name=f"fk_{table}_{name}")
    return sa.Column(name, _Id, key, nullable=False)


def upgrade() -> None:
    op.create_table(
        "rollouts",
        _row_id(),
        *map(_text, ("key", "digest", "bundle_name", "bundle_version")),
        _number("release"),
        *map(_document, ("policy", "selection")),
        _text("status"),
        *map(_number, ("wave", "waves")),
        _moment("wave_ms"),
        *map(_text, ("why", "after_return", "actor")),
        _moment("created_ms", nullable=False),
        _moment("ended_ms"),
        _number("revision"),
        sa.UniqueConstraint("key", name="uq_rollouts_key"),
    )
    op.create_index("ix_rollouts_status", "rollouts", ["status"])
    op.create_table(
        "rollout_devices",
        _of("rollout_devices", "rollout", "rollouts"),
        _of("rollout_devices", "node", "nodes"),
        sa.Column("wave", sa.BigInteger, nullable=False),
        *map(_text, ("step", "failure")),
        *map(_moment, ("told_ms", "confirmed_ms")),
        _number("told_version"),
        *map(_text, ("before_digest", "said", "why")),
        _moment("changed_ms", nullable=False),
        sa.PrimaryKeyConstraint("rollout", "node", name="pk_rollout_devices"),
    )
    op.create_index("rollout_devices_node", "rollout_devices", ["node"])
    op.create_table(
        "rollout_orders",
        _row_id(),
        _of("rollout_orders", "rollout", "rollouts"),
        *map(_text, ("verb", "actor")),
        _moment("created_ms", nullable=False),
        _moment("done_ms"),
    )
    op.create_index("rollout_orders_of", "rollout_orders", ["rollout", "done_ms"])
    op.create_table(
        "rollout_log",
        _row_id(),
        _of("rollout_log", "rollout", "rollouts"),
        _moment("at_ms", nullable=False),
        _text("what"),
        _number("devices"),
        _document("nodes"),
        _text("why"),
    )
    op.create_index("rollout_log_of", "rollout_log", ["rollout", "id"])
