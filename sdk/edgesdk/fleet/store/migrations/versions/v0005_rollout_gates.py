"""Roll-outs: how devices did before is kept, a halt can be gone on from with a reason, and words are found by their name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _of(name: str, target: str) -> sa.Column[int]:
    key = sa.ForeignKey(f"{target}.id", ondelete="CASCADE", name=f"fk_rollout_baselines_{name}")
    return sa.Column(name, _Id, key, nullable=False)


def upgrade() -> None:
    op.add_column("rollout_devices", sa.Column("excused_ms", sa.BigInteger, nullable=True))
    op.add_column("rollout_orders", sa.Column("why", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "rollout_baselines",
        _of("rollout", "rollouts"),
        _of("node", "nodes"),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        sa.Column("figures", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("rollout", "node", name="pk_rollout_baselines"),
    )
    op.create_index("events_by_name", "events", ["node", "name", "received_ms"])
