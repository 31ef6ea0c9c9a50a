"""The tables of version 0.1, which counted versions itself."""

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0001"
down_revision: Final = None


def upgrade() -> None:
    """Creates the tables; those of a start that was cut off may be there already."""
    _create_basics()
    _create_files()
    _create_datasets()
    _create_evaluations()
    _create_results()


def _create_basics() -> None:
    op.create_table(
        "schema_version",
        sa.Column("version", sa.Integer, primary_key=True),
        if_not_exists=True,
    )
    op.create_table(
        "identity",
        sa.Column("name", sa.String(36), primary_key=True),
        comment="By which a database and its data directory know each other; made where it is "
        "missing",
        if_not_exists=True,
    )
    op.create_table(
        "models",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(96), nullable=False, unique=True),
        sa.Column("display_name", sa.String, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )


def _create_files() -> None:
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "files",
        sa.Column("owner", sa.String(96), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("location", sa.String, nullable=False),
        sa.Column(
            "digest", sa.String(64), sa.ForeignKey("blobs.digest"), nullable=False, index=True
        ),
        comment="Which blobs a model or data set holds, in order; a blob that nobody holds is "
        "removed",
        if_not_exists=True,
    )
    op.create_table(
        "claims",
        sa.Column("evaluation", sa.String(96), primary_key=True),
        sa.Column("resource", sa.String(96), primary_key=True, index=True),
        comment="Which models and data sets an unfinished evaluation uses; these are not deleted",
        if_not_exists=True,
    )


def _create_datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(96), nullable=False, unique=True),
        sa.Column("display_name", sa.String, nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("labelled", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "dataset_images",
        sa.Column("dataset", sa.String(96), sa.ForeignKey("datasets.name"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("record", sa.JSON, nullable=False),
        if_not_exists=True,
    )


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("name", sa.String(96), nullable=False, unique=True),
        sa.Column("request_id", sa.String(36), unique=True),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("models", sa.String, nullable=False, index=True),
        sa.Column("dataset", sa.String(96), nullable=False),
        sa.Column("state", sa.String(16), nullable=False, index=True),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("error", sa.LargeBinary),
        sa.Column("create_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_time", sa.DateTime(timezone=True)),
        sa.Column("images_total", sa.Integer, nullable=False),
        sa.Column("predictions_total", sa.BigInteger, nullable=False),
        sa.Column("results", sa.LargeBinary, nullable=False),
        sa.Column("environment", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
        comment="`deaths` counts the servers that died while the evaluation was running",
        if_not_exists=True,
    )


def _create_results() -> None:
    op.create_table(
        "shards",
        sa.Column("evaluation", sa.Integer, sa.ForeignKey("evaluations.number"), primary_key=True),
        sa.Column("shard", sa.Integer, primary_key=True),
        sa.Column("images", sa.Integer, nullable=False),
        sa.Column("predictions", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
        comment="A shard is here with all its images or not at all",
        if_not_exists=True,
    )
    op.create_table(
        "image_results",
        sa.Column("evaluation", sa.Integer, sa.ForeignKey("evaluations.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("basic", sa.LargeBinary, nullable=False),
        sa.Column("curves", sa.LargeBinary, nullable=False),
        sa.Column("overlays", sa.LargeBinary, nullable=False),
        comment="Serialised `ImageResult` messages without curves and overlays; with curves; "
        "overlays",
        if_not_exists=True,
    )
