"""Tables of the database; every store declares its own on the metadata object of this module."""

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()
"""Every change of the tables, or of the bytes that they hold, is a revision in `migrations`."""


def utc(stored: datetime) -> datetime:
    """A stored time: SQLite keeps no zone, PostgreSQL gives its session's; what is meant is UTC."""
    return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


# Read by servers of version 0.1 alone, which refuse the number in it.
schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

identity = Table(
    "identity",
    metadata,
    Column("name", String(36), primary_key=True),
    comment="By which a database and its data directory know each other; made where it is missing",
)

blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("owner", String(96), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("location", String, nullable=False),
    Column("digest", ForeignKey("blobs.digest"), nullable=False, index=True),
    comment="Which blobs a model or data set holds, in order; a blob that nobody holds is removed",
)

claims = Table(
    "claims",
    metadata,
    Column("evaluation", String(96), primary_key=True),
    Column("resource", String(96), primary_key=True, index=True),
    comment="Which models and data sets an unfinished evaluation uses; these are not deleted",
)

models = Table(
    "models",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(96), nullable=False, unique=True),
    Column("display_name", String, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("facts", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

run_sizes = Table(
    "run_sizes",
    metadata,
    Column("model", ForeignKey("models.name"), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("batches", Integer, nullable=False),
    comment="How many batches a run of a pass takes, measured once on a kind of machine",
)

datasets = Table(
    "datasets",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(96), nullable=False, unique=True),
    Column("display_name", String, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("images", Integer, nullable=False),
    Column("labelled", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

dataset_images = Table(
    "dataset_images",
    metadata,
    Column("dataset", ForeignKey("datasets.name"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("record", JSON, nullable=False),
)
