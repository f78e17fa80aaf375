"""Roll-outs of the agent's own program: of what kind one is, and which release of the agent a device runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rollouts", sa.Column("kind", sa.Text, nullable=False, server_default="bundle"))
    op.add_column("nodes", sa.Column("agent_digest", sa.Text, nullable=False, server_default=""))
