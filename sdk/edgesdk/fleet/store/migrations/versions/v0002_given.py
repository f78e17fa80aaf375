"""What a device was given at its claim is kept, so that a template's later changes can be told from it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("enrolments", sa.Column("given", sa.JSON(none_as_null=True), nullable=True))
