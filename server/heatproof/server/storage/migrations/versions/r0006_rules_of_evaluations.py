"""Rules of sequential evaluations, which are judged while they run."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"


def upgrade() -> None:
    """Creates their table."""
    op.create_table(
        "evaluation_rules",
        sa.Column("evaluation", sa.Integer, sa.ForeignKey("evaluations.number"), primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        comment="By what a sequential evaluation is judged while it runs; gone with its end",
    )
