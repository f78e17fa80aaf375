"""Indexes for what is asked for every second: which alerts fire, and whether one changed; and for forgetting old ones."""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    firing = text("state = 'firing'")
    op.create_index("alerts_firing", "alerts", ["node"], sqlite_where=firing, postgresql_where=firing)
    op.create_index("alerts_changed", "alerts", ["updated_ms"])
    op.create_index("alerts_over", "alerts", ["cleared_ms"])
