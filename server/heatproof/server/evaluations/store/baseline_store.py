"""The stored baselines: which evaluations they name, and which they have named before."""

import difflib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from heatproof.evaluators.errors import ConflictError, NotFoundError
from heatproof.server.evaluations.store.tables import (
    baseline_numbers,
    baseline_revisions,
    baselines,
    evaluations,
)
from heatproof.server.resource_names import BaselineName, BaselineReference
from heatproof.server.storage import pages
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.storage.schema import models, utc

KEPT_REVISIONS: Final = 1000
"""Revisions of a baseline that are kept, the newest ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineChange:
    """What a baseline is to be set to.

    Attributes:
        number: key of the evaluation's rows.
        evaluation: name of the evaluation.
        model: name of the model.
        note: who sets it and why.
        policy: serialised `Policy` by which the model was judged, b"" without one.
    """

    number: int
    evaluation: str
    model: str
    note: str = ""
    policy: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRevision:
    """What a baseline has been set to.

    Attributes:
        name: `baselines/{baseline}@{revision}`.
        revision: its number, from 1.
        create_time: when the baseline was set to it.
        evaluation: name of the evaluation.
        model: name of the model.
        model_display_name: name to show of the model, "" if it was not stored any more.
        note: who has set it and why.
        policy: serialised `Policy` by which the model was judged, b"" without one.
        stored: whether the evaluation is still stored.
    """

    name: str
    revision: int
    create_time: datetime
    evaluation: str
    model: str
    model_display_name: str
    note: str
    policy: bytes
    stored: bool

    def says(self, change: BaselineChange) -> bool:
        """Whether a change would repeat it."""
        fields = ("evaluation", "model", "note", "policy")
        return all(getattr(self, field) == getattr(change, field) for field in fields)


@dataclass(frozen=True, slots=True)
class StoredBaseline:
    """A stored baseline.

    Attributes:
        name: resource name.
        create_time: when it was set for the first time.
        revision: its newest revision.
    """

    name: str
    create_time: datetime
    revision: StoredRevision


class BaselineStore:
    """The stored baselines. Blocking; called outside the event loop."""

    def __init__(self, ownership: BlobOwnership) -> None:
        self._engine = ownership.engine
        self._urgent = ownership.spare.urgent
        # The newest revision may not change between the look at it and the next one.
        self._setting = threading.Lock()

    def set(
        self, name: BaselineName, change: BaselineChange, *, expected: int | None = None
    ) -> StoredBaseline:
        """Adds a revision to a baseline, which may be new; nothing if the newest says the same.

        Args:
            name: the baseline.
            change: what it is set to.
            expected: number of the newest revision, as the caller knows it; 0: there is none.

        Raises:
            ConflictError: the newest revision is another one than expected.
            NotFoundError: the evaluation has gone meanwhile.
        """
        with self._setting, self._engine.begin() as connection:
            found = _find(connection, name)
            if found is not None and found.revision.says(change):
                return found
            _check_expected(name, found, expected)
            revision = _next_revision(connection, name)
            number = _moved(connection, name, change, revision, is_new=found is None)
            connection.execute(
                insert(baseline_revisions).values(_row(connection, number, revision, change))
            )
            _forget(connection, number, revision - KEPT_REVISIONS)
            return _get(connection, name)

    def get(self, name: BaselineName) -> StoredBaseline:
        """Finds a baseline.

        Raises:
            NotFoundError: there is none of this name; offers the nearest ones.
        """
        with self._engine.connect() as connection:
            return _get(connection, name)

    def revision(self, reference: BaselineReference) -> StoredRevision:
        """Finds a revision of a baseline.

        Raises:
            NotFoundError: there is no such baseline, or it has no such revision any more.
        """
        with self._engine.connect() as connection:
            newest = _get(connection, reference.baseline).revision
            if reference.revision in {None, newest.revision}:
                return newest
            wanted = baselines.c.name == str(reference.baseline)
            query = _revisions().where(wanted, baseline_revisions.c.revision == reference.revision)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFoundError(
                    f"there is no {reference}; the newest revision is {newest.revision}, and the "
                    f"newest {KEPT_REVISIONS} are kept"
                )
            return _stored_revision(row)

    def page(
        self,
        request: pages.PageRequest,
        fits: Callable[[StoredBaseline], bool] = pages.everything,
    ) -> pages.Page[StoredBaseline]:
        """Lists baselines, the last created first; a page ends before one without room."""
        with self._engine.connect() as connection:

            def read(number: int) -> StoredBaseline | None:
                return _one(connection, baselines.c.number == number, with_policy=False)

            return pages.fetch(connection, baselines, request, read, fits)

    def history(
        self,
        name: BaselineName,
        request: pages.PageRequest,
        fits: Callable[[StoredRevision], bool] = pages.everything,
    ) -> pages.Page[StoredRevision]:
        """Lists the revisions of a baseline, newest first.

        Raises:
            NotFoundError: there is none of this name; offers the nearest ones.
        """
        with self._engine.connect() as connection:
            number = _number(connection, name)

            def read(revision: int) -> StoredRevision | None:
                wanted = baseline_revisions.c.number == revision
                query = _revisions(with_policy=False).where(wanted)
                row = connection.execute(query).one_or_none()
                return None if row is None else _stored_revision(row)

            own = baseline_revisions.c.baseline == number
            return pages.fetch(connection, baseline_revisions, request, read, fits, own)

    def delete(self, name: BaselineName) -> None:
        """Deletes a baseline with its history; the evaluations stay.

        Raises:
            NotFoundError: there is none of this name.
        """
        with self._setting:
            self._urgent(partial(self._delete, name))

    def _delete(self, name: BaselineName) -> None:
        with self._engine.begin() as connection:
            number = _number(connection, name)
            own = baseline_revisions.c.baseline == number
            connection.execute(delete(baseline_revisions).where(own))
            connection.execute(delete(baselines).where(baselines.c.number == number))


def _check_expected(name: BaselineName, found: StoredBaseline | None, expected: int | None) -> None:
    newest = 0 if found is None else found.revision.revision
    if expected is not None and expected != newest:
        held = f"has moved to revision {newest}" if newest else "does not exist"
        raise ConflictError(
            f"{name} {held}, and revision {expected} was expected: look at what it is now, and "
            "judge against that before setting it",
            field="expected_revision",
            metadata={"baseline": str(name), "revision": str(newest)},
        )


def _next_revision(connection: Connection, name: BaselineName) -> int:
    """A number that no revision of this name has had, so that `main@3` is always the same."""
    own = baseline_numbers.c.name == str(name)
    last = connection.scalar(select(baseline_numbers.c.revision).where(own))
    revision: int = (last or 0) + 1
    if last is None:
        row = {"name": str(name), "revision": revision}
        connection.execute(insert(baseline_numbers).values(row))
    else:
        connection.execute(update(baseline_numbers).where(own).values(revision=revision))
    return revision


def _moved(
    connection: Connection,
    name: BaselineName,
    change: BaselineChange,
    revision: int,
    *,
    is_new: bool,
) -> int:
    """Lets a baseline, which may be new, point to an evaluation; gives the key of its row."""
    values = {"revision": revision, "evaluation": change.number}
    try:
        if is_new:
            row = {"name": str(name), "create_time": datetime.now(UTC), **values}
            connection.execute(insert(baselines).values(row))
        else:
            moved = update(baselines).where(baselines.c.name == str(name)).values(values)
            connection.execute(moved)
    except IntegrityError as error:
        raise NotFoundError(
            f"{change.evaluation} has been deleted meanwhile; name another evaluation",
            field="evaluation",
        ) from error
    return _number(connection, name)


def _row(
    connection: Connection, number: int, revision: int, change: BaselineChange
) -> dict[str, object]:
    query = select(models.c.display_name).where(models.c.name == change.model)
    return {
        "baseline": number,
        "revision": revision,
        "create_time": datetime.now(UTC),
        "evaluation": change.evaluation,
        "model": change.model,
        "model_display_name": connection.scalar(query) or "",
        "note": change.note,
        "policy": change.policy,
    }


def _forget(connection: Connection, number: int, up_to: int) -> None:
    """Lets go of the oldest revisions."""
    old = (baseline_revisions.c.baseline == number, baseline_revisions.c.revision <= up_to)
    connection.execute(delete(baseline_revisions).where(*old))


def _find(connection: Connection, name: BaselineName) -> StoredBaseline | None:
    return _one(connection, baselines.c.name == str(name))


def _get(connection: Connection, name: BaselineName) -> StoredBaseline:
    found = _find(connection, name)
    if found is None:
        raise _missing(connection, name)
    return found


def _number(connection: Connection, name: BaselineName) -> int:
    query = select(baselines.c.number).where(baselines.c.name == str(name))
    number: int | None = connection.scalar(query)
    if number is None:
        raise _missing(connection, name)
    return number


def _missing(connection: Connection, name: BaselineName) -> NotFoundError:
    names = connection.scalars(select(baselines.c.name).limit(pages.MAX_SIZE))
    known = [BaselineName.parse(one).id for one in names]
    near = [str(BaselineName(one)) for one in difflib.get_close_matches(name.id, known)]
    hint = f"did you mean {' or '.join(near)}?" if near else "ListBaselines lists those there are"
    return NotFoundError(f"there is no {name}; {hint}", metadata={"nearest": ",".join(near)})


def _one(
    connection: Connection, wanted: ColumnElement[bool], *, with_policy: bool = True
) -> StoredBaseline | None:
    """A baseline with its newest revision."""
    newest = baseline_revisions.c.revision == baselines.c.revision
    query = _revisions(with_policy=with_policy).where(wanted, newest)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    return StoredBaseline(row.baseline_name, utc(row.baseline_time), _stored_revision(row))


def _revisions(*, with_policy: bool = True) -> Select[Any]:
    """Revisions with their baselines, and whether their evaluations are stored.

    A page of a list holds many of them at a time, and shows no policies.
    """
    there = select(evaluations.c.number).where(
        evaluations.c.name == baseline_revisions.c.evaluation
    )
    policy = baseline_revisions.c.policy
    return select(
        *(column for column in baseline_revisions.c if column is not policy),
        policy if with_policy else literal(b"").label("policy"),
        baselines.c.name.label("baseline_name"),
        baselines.c.create_time.label("baseline_time"),
        there.exists().label("stored"),
    ).join(baselines, baselines.c.number == baseline_revisions.c.baseline)


def _stored_revision(row: Row[Any]) -> StoredRevision:
    return StoredRevision(
        name=f"{row.baseline_name}@{row.revision}",
        revision=row.revision,
        create_time=utc(row.create_time),
        evaluation=row.evaluation,
        model=row.model,
        model_display_name=row.model_display_name,
        note=row.note,
        policy=row.policy,
        stored=bool(row.stored),
    )
