"""Alembic counts the versions; servers of version 0.1 are told that they are too old."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"

_FOREIGN: Final = 2
"""A number that servers of version 0.1 refuse in a sentence of their own: they read 1."""


def upgrade() -> None:
    """Writes that number in the table that servers of version 0.1 read."""
    version = sa.table("schema_version", sa.column("version", sa.Integer))
    op.execute(version.delete())
    op.execute(version.insert().values(version=_FOREIGN))
    op.create_table(  # the first databases of version 0.1 have none
        "identity", sa.Column("name", sa.String(36), primary_key=True), if_not_exists=True
    )
