"""Columns of scores, which statistics read instead of the rows of all images.

Shards without any, as version 0.1 wrote them, get theirs from their rows when they are read.
"""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    """Creates their table."""
    op.create_table(
        "score_columns",
        sa.Column("evaluation", sa.Integer, sa.ForeignKey("evaluations.number"), primary_key=True),
        sa.Column("block", sa.Integer, primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        comment="What statistics read of a shard: block 0 its images, the others some results each",
    )
