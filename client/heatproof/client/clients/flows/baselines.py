"""Baselines of a server: set, found, listed and deleted."""

from typing import Final

from heatproof.client.clients.effects import Flow, Rpc, Unary, limit
from heatproof.client.clients.flows.listing import every
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.reading.baseline_names import (
    BASELINE_PREFIX,
    baseline_name,
    baseline_reference,
)
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.errors import NotFoundError
from heatproof.v1.baseline_pb2 import BaselineRevision, NamedBaseline
from heatproof.v1.baseline_service_pb2 import (
    DeleteBaselineRequest,
    GetBaselineRequest,
    ListBaselineRevisionsRequest,
    ListBaselinesRequest,
    SetBaselineRequest,
)
from heatproof.v1.baseline_service_pb2_grpc import BaselineServiceStub

_SET: Final = Rpc(BaselineServiceStub, "SetBaseline")
_GET: Final = Rpc(BaselineServiceStub, "GetBaseline")
_LIST: Final = Rpc(BaselineServiceStub, "ListBaselines")
_DELETE: Final = Rpc(BaselineServiceStub, "DeleteBaseline")
_HISTORY: Final = Rpc(BaselineServiceStub, "ListBaselineRevisions")


def baselines(*, timeout: float | None = None) -> Flow[tuple[NamedBaseline, ...]]:
    """Lists the baselines of the server, that which was created last first.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    listed = yield from every(
        _LIST, lambda token: ListBaselinesRequest(page_token=token), "baselines"
    )
    return tuple(listed)


def baseline(name: str, *, timeout: float | None = None) -> Flow[NamedBaseline]:
    """Finds a baseline with its newest revision.

    Args:
        name: `main` or `baselines/main`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        UsageError: it is no such name.
        NotFoundError: the server has none of this name; offers the nearest.
    """
    yield from limit(timeout)
    return (yield from _found(baseline_name(name)))


def baseline_revisions(
    name: str, *, timeout: float | None = None
) -> Flow[tuple[BaselineRevision, ...]]:
    """Lists what a baseline has been set to, newest first.

    Args:
        name: `main` or `baselines/main`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        UsageError: it is no such name.
        NotFoundError: the server has none of this name; offers the nearest.
    """
    yield from limit(timeout)
    full = baseline_name(name)
    listed = yield from every(
        _HISTORY,
        lambda token: ListBaselineRevisionsRequest(name=full, page_token=token),
        "revisions",
    )
    return tuple(listed)


def set_baseline(
    name: str,
    evaluation: str | Report,
    *,
    model: str = "",
    note: str = "",
    expected_revision: int | None = None,
    timeout: float | None = None,
) -> Flow[NamedBaseline]:
    """Lets a baseline, which may be new, name an evaluation; adds a revision to its history.

    Setting it to what it names already adds none.

    Args:
        name: `main` or `baselines/main`.
        evaluation: the name `evaluations/...` of one that has succeeded, or its report; that of a
            gate says model and policy too.
        model: the model, `models/...`, that candidates will be held against; needed where the
            evaluation has several and the report is none of a gate.
        note: who sets it and why; at most 1,000 letters.
        expected_revision: the newest revision as the caller knows it, 0 if there is none; another
            one is a `ConflictError`. None: whatever it is.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        UsageError: it is no such name.
        ServiceError: the server refused it.
    """
    yield from limit(timeout)
    request = SetBaselineRequest(
        name=baseline_name(name), model=model, note=note, expected_revision=expected_revision
    )
    if isinstance(evaluation, Report):
        request.evaluation = evaluation.evaluation.name
    else:
        request.evaluation = evaluation
    if isinstance(evaluation, GateReport):
        request.model = model or evaluation.model
        request.policy.CopyFrom(evaluation.policy)
    found: NamedBaseline = yield from patiently(Unary(_SET, request))
    return found


def delete_baseline(name: str, *, timeout: float | None = None) -> Flow[None]:
    """Deletes a baseline with its history; the evaluations that it named stay.

    Args:
        name: `main` or `baselines/main`.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    yield from patiently(Unary(_DELETE, DeleteBaselineRequest(name=baseline_name(name))))


def pinned(source: object) -> Flow[str]:
    """The revision that is meant, so that nobody can move a baseline under a gate; "" for none.

    Args:
        source: what a gate is told to hold the candidate against.

    Raises:
        NotFoundError: the server has no such baseline, and there is no such file.
    """
    reference = baseline_reference(source)
    if reference is None or "@" in reference:
        return reference or ""
    try:
        found = yield from _found(reference)
    except NotFoundError as error:
        if not str(source).startswith(BASELINE_PREFIX):
            error.add_note(f"nor is there a file or folder {source}")
        raise
    return found.revision.name


def _found(name: str) -> Flow[NamedBaseline]:
    message: NamedBaseline = yield from patiently(Unary(_GET, GetBaselineRequest(name=name)))
    return message
