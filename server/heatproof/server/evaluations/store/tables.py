"""Tables of evaluations, their results, and the baselines that name some of them."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
)

from heatproof.server.storage.schema import metadata

evaluations = Table(
    "evaluations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(96), nullable=False, unique=True),
    Column("request_id", String(36), unique=True),
    Column("spec", LargeBinary, nullable=False),
    Column("models", String, nullable=False, index=True),
    Column("dataset", String(96), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("deaths", Integer, nullable=False),
    Column("error", LargeBinary),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True)),
    Column("images_total", Integer, nullable=False),
    Column("predictions_total", BigInteger, nullable=False),
    Column("results", LargeBinary, nullable=False),
    Column("environment", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
    comment="`deaths` counts the servers that died while the evaluation was running",
)

shards = Table(
    "shards",
    metadata,
    Column("evaluation", ForeignKey(evaluations.c.number), primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("images", Integer, nullable=False),
    Column("predictions", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("known", BigInteger, nullable=False, server_default="0"),
    comment="A shard is here with all its images or not at all",
)

evaluation_rules = Table(
    "evaluation_rules",
    metadata,
    Column("evaluation", ForeignKey(evaluations.c.number), primary_key=True),
    Column("data", LargeBinary, nullable=False),
    comment="By what a sequential evaluation is judged while it runs; gone with its end",
)

score_columns = Table(
    "score_columns",
    metadata,
    Column("evaluation", ForeignKey(evaluations.c.number), primary_key=True),
    Column("block", Integer, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    comment="What statistics read of a shard: block 0 its images, the others some results each",
)

image_results = Table(
    "image_results",
    metadata,
    Column("evaluation", ForeignKey(evaluations.c.number), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("shard", Integer, nullable=False),
    Column("basic", LargeBinary, nullable=False),
    Column("curves", LargeBinary, nullable=False),
    Column("overlays", LargeBinary, nullable=False),
    comment="Serialised `ImageResult` messages without curves and overlays; with curves; overlays",
)

baselines = Table(
    "baselines",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("name", String(96), nullable=False, unique=True),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("evaluation", ForeignKey(evaluations.c.number), nullable=False, index=True),
    sqlite_autoincrement=True,
    comment="`evaluation` is that of the newest revision, and thereby kept",
)

baseline_revisions = Table(
    "baseline_revisions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("baseline", ForeignKey(baselines.c.number), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("evaluation", String(96), nullable=False),
    Column("model", String(96), nullable=False),
    Column("model_display_name", String, nullable=False),
    Column("note", String, nullable=False),
    Column("policy", LargeBinary, nullable=False),
    UniqueConstraint("baseline", "revision"),
    sqlite_autoincrement=True,
    comment="What baselines have been set to; the evaluations of older revisions may be gone",
)

baseline_numbers = Table(
    "baseline_numbers",
    metadata,
    Column("name", String(96), primary_key=True),
    Column("revision", Integer, nullable=False),
    comment="The newest revision that a name has had; stays when the baseline is deleted",
)
