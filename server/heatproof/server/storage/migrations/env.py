"""Run by Alembic, inside the transaction of the connection that `upgrading` hands over."""

from alembic import context

from heatproof.server.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters no columns: such tables are copied
)
context.run_migrations()
