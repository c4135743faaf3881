"""Run by alembic: migrations over the connection that the caller holds."""

from __future__ import annotations

from alembic import context

from initadvisor.service.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
