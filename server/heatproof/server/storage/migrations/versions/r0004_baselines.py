"""Baselines by name, with what they have been set to."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"


def upgrade() -> None:
    """Creates their tables."""
    _create_baselines()
    _create_revisions()
    _create_numbers()


def _create_baselines() -> None:
    op.create_table(
        "baselines",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(96), nullable=False, unique=True),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column(
            "evaluation",
            sa.Integer,
            sa.ForeignKey("evaluations.number"),
            nullable=False,
            index=True,
        ),
        sqlite_autoincrement=True,
        comment="`evaluation` is that of the newest revision, and thereby kept",
    )


def _create_revisions() -> None:
    op.create_table(
        "baseline_revisions",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("baseline", sa.Integer, sa.ForeignKey("baselines.number"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("evaluation", sa.String(96), nullable=False),
        sa.Column("model", sa.String(96), nullable=False),
        sa.Column("model_display_name", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("policy", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("baseline", "revision"),
        sqlite_autoincrement=True,
        comment="What baselines have been set to; the evaluations of older revisions may be gone",
    )


def _create_numbers() -> None:
    op.create_table(
        "baseline_numbers",
        sa.Column("name", sa.String(96), primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        comment="The newest revision that a name has had; stays when the baseline is deleted",
    )
