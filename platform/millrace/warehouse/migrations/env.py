"""Run by Alembic for every upgrade; the connection comes from `millrace.warehouse.migrations.upgrade`."""

from alembic import context

from millrace.warehouse.schema import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    # one transaction for all: the one that the connection is in
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
