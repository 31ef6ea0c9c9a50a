"""Checks what is stored: every file against its digest, every row against the others."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, text

from heatproof.server.evaluations.store.records import UNFINISHED
from heatproof.server.evaluations.store.tables import (
    baseline_revisions,
    baselines,
    evaluations,
    image_results,
    shards,
)
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.storage.schema import blobs, claims, dataset_images, datasets, files, models

_UPLOAD: Final = "upload what holds it again, which repairs it"
_RESTART: Final = "the next start of the server removes it"
_RESTORE: Final = "restore the database from a backup, or delete what is named and create it again"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be.

    Attributes:
        subject: file or row.
        fault: what is wrong with it.
        way_out: what to do.
    """

    subject: str
    fault: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.fault}; {self.way_out}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a check has found.

    Attributes:
        counts: how many things of each kind were checked.
        findings: what is wrong.
        notes: what an operator may want to know, though nothing is wrong.
    """

    counts: dict[str, int]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def inspect_stores(ownership: BlobOwnership) -> Inspection:
    """Reads every file and every row; changes nothing.

    Raises:
        StorageFailedError: the disk or the database cannot be read.
    """
    with ownership.engine.connect() as connection:
        findings = [
            *_database_faults(connection),
            *_blob_faults(connection, ownership),
            *_row_faults(connection),
            *_image_faults(connection),
        ]
        tables = (models, datasets, evaluations, baselines, blobs)
        counts = {table.name: _count(connection, select(table)) for table in tables}
    return Inspection(counts, tuple(findings), tuple(_notes(ownership)))


def _count(connection: Connection, query: Select[Any]) -> int:
    return connection.scalar(select(func.count()).select_from(query.subquery())) or 0


def _notes(ownership: BlobOwnership) -> Iterator[str]:
    for digest in ownership.folder.quarantined():
        yield f"quarantine/{digest}: a damaged file that was moved aside; delete it when you like"
    left = ownership.folder.leftovers()
    if left:
        yield f"incoming: {left} files of uploads that were cut off; {_RESTART}"


def _database_faults(connection: Connection) -> Iterator[Finding]:
    if connection.dialect.name != "sqlite":  # servers check their pages themselves
        return
    for row in connection.execute(text("PRAGMA integrity_check")):
        if row[0] != "ok":
            yield Finding("database", str(row[0]), _RESTORE)
    for row in connection.execute(text("PRAGMA foreign_key_check")):
        yield Finding(f"database, {row[0]} row {row[1]}", f"refers to no {row[2]}", _RESTORE)


def _blob_faults(connection: Connection, ownership: BlobOwnership) -> Iterator[Finding]:
    """Files that are missing, damaged, or known to nobody."""
    known = {row.digest: row.size_bytes for row in connection.execute(select(blobs))}
    there = set(ownership.folder.digests())
    for digest, size in sorted(known.items()):
        owners = ", ".join(_owners(connection, digest)) or "nothing"
        subject = f"file {digest} of {owners}"
        if digest not in there:
            yield Finding(subject, "is missing", _UPLOAD)
        elif not ownership.folder.is_sound(digest):
            yield Finding(subject, "holds other bytes than were uploaded", _UPLOAD)
        elif ownership.path(digest).stat().st_size != size:
            yield Finding(subject, f"is listed with {size} bytes", _RESTORE)
    for digest in sorted(there - known.keys()):
        yield Finding(f"file {digest}", "belongs to no model or data set", _RESTART)


def _owners(connection: Connection, digest: str) -> list[str]:
    query = select(files.c.owner).where(files.c.digest == digest).distinct()
    return sorted(connection.scalars(query))


@dataclass(frozen=True, slots=True)
class _Rule:
    """Rows that must not be there: what they are called, which they are, what is wrong."""

    kind: str
    name: ColumnElement[Any]
    wrong: ColumnElement[bool]
    fault: str


def _without(table: Any, column: Any, other: Any) -> ColumnElement[bool]:  # noqa: ANN401  # tables and columns of SQLAlchemy
    return ~select(other).where(other == column).correlate(table).exists()


_OWNED: Final = or_(
    select(models.c.name).where(models.c.name == files.c.owner).exists(),
    select(datasets.c.name).where(datasets.c.name == files.c.owner).exists(),
)
_PRESENT: Final = or_(
    select(models.c.name).where(models.c.name == claims.c.resource).exists(),
    select(datasets.c.name).where(datasets.c.name == claims.c.resource).exists(),
)
_OPEN: Final = evaluations.c.state.in_([state.value for state in UNFINISHED])
_CLAIMANT: Final = (
    select(evaluations.c.name).where(evaluations.c.name == claims.c.evaluation, _OPEN).exists()
)
_COUNTED: Final = (
    select(func.count())
    .where(
        image_results.c.evaluation == shards.c.evaluation, image_results.c.shard == shards.c.shard
    )
    .scalar_subquery()
)
_LISTED: Final = (
    select(func.count()).where(dataset_images.c.dataset == datasets.c.name).scalar_subquery()
)
_SHARD: Final = (
    select(shards.c.shard)
    .where(
        shards.c.evaluation == image_results.c.evaluation, shards.c.shard == image_results.c.shard
    )
    .exists()
)
_NEWEST: Final = (
    select(baseline_revisions.c.number)
    .join(evaluations, evaluations.c.name == baseline_revisions.c.evaluation)
    .where(
        baseline_revisions.c.baseline == baselines.c.number,
        baseline_revisions.c.revision == baselines.c.revision,
        evaluations.c.number == baselines.c.evaluation,
    )
    .exists()
)

_RULES: Final = (
    _Rule("file of", files.c.owner, ~_OWNED, "its owner is not stored"),
    _Rule(
        "file of", files.c.owner, _without(files, files.c.digest, blobs.c.digest), "is not listed"
    ),
    _Rule("file", blobs.c.digest, _without(blobs, blobs.c.digest, files.c.digest), "has no owner"),
    _Rule("", models.c.name, _without(models, models.c.name, files.c.owner), "has no files"),
    _Rule("", datasets.c.name, _without(datasets, datasets.c.name, files.c.owner), "has no files"),
    _Rule("", datasets.c.name, datasets.c.images != _LISTED, "lists another number of images"),
    _Rule("claim of", claims.c.evaluation, ~_CLAIMANT, "has ended or is not stored"),
    _Rule("claim on", claims.c.resource, ~_PRESENT, "is not stored"),
    _Rule(
        "",
        evaluations.c.name,
        _OPEN & _without(evaluations, evaluations.c.name, claims.c.evaluation),
        "has not ended and claims nothing",
    ),
    _Rule("shard of evaluation", shards.c.evaluation, shards.c.images != _COUNTED, "lacks images"),
    _Rule("image of evaluation", image_results.c.evaluation, ~_SHARD, "belongs to no shard"),
    _Rule("", baselines.c.name, ~_NEWEST, "lacks its newest revision or its evaluation"),
)


def _row_faults(connection: Connection) -> Iterator[Finding]:
    for rule in _RULES:
        for name in connection.scalars(select(rule.name).where(rule.wrong).distinct()):
            yield Finding(f"{rule.kind} {name}".strip(), rule.fault, _RESTORE)


def _image_faults(connection: Connection) -> Iterator[Finding]:
    """Images whose bytes their data set does not hold."""
    query = select(dataset_images).order_by(dataset_images.c.dataset, dataset_images.c.position)
    held: tuple[str, set[str]] = ("", set())
    with connection.engine.connect() as reader:
        for row in reader.execution_options(yield_per=1000).execute(query):
            if held[0] != row.dataset:
                own = select(files.c.digest).where(files.c.owner == row.dataset)
                held = (row.dataset, set(connection.scalars(own)))
            if not set(_sources(row.record)) <= held[1]:
                subject = f"{row.dataset}, image {row.position}"
                yield Finding(subject, "its data set does not hold its bytes", _RESTORE)


def _sources(record: dict[str, Any]) -> Iterator[str]:
    """Digests of the pixels, mask, maps and replacement of an image."""
    mask, maps = record["object_mask"], record["attribution_maps"].values()
    framed = [item["source"] for item in (mask, *maps, record.get("replacement")) if item]
    for source in (record["pixels"], *framed):
        yield source.get("encoded") or source["array"]


def report(inspection: Inspection, write: Callable[[str], object]) -> bool:
    """Writes what was found, line by line; True if nothing is wrong."""
    counted = ", ".join(f"{number} {kind}" for kind, number in inspection.counts.items())
    write(f"checked: {counted}")
    for note in inspection.notes:
        write(f"note: {note}")
    for finding in inspection.findings:
        write(f"fault: {finding}")
    write(f"{len(inspection.findings)} faults")
    return not inspection.findings
