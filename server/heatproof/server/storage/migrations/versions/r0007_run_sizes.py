"""How many batches a run of a pass takes, as it was measured."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"


def upgrade() -> None:
    """Creates their table."""
    op.create_table(
        "run_sizes",
        sa.Column("model", sa.String(96), sa.ForeignKey("models.name"), primary_key=True),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("batches", sa.Integer, nullable=False),
        comment="How many batches a run of a pass takes, measured once on a kind of machine",
    )
