"""Alembic runs this; the connection comes from `version.upgrade`, which owns the transaction."""

from __future__ import annotations

from alembic import context

from edgesdk.fleet.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
