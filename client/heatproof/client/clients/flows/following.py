"""Evaluations on the server: found, followed, read, ended and deleted."""

from functools import partial as bound
from typing import Final

from heatproof.client.clients.connections.statuses import read_status
from heatproof.client.clients.effects import Flow, Pause, Rpc, Stream, Unary, limit
from heatproof.client.clients.flows.datasets import DATASET_PREFIX, get_dataset
from heatproof.client.clients.flows.listing import every
from heatproof.client.clients.flows.models import get_model
from heatproof.client.clients.progress import OnProgress, Progress, Stage, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents.results import Report, joined
from heatproof.client.documents.results.ranking import WorstPictures
from heatproof.client.errors import (
    EvaluationCancelledError,
    EvaluationFailedError,
    NotFoundError,
    UsageError,
)
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.evaluation_service_pb2 import (
    CancelEvaluationRequest,
    DeleteEvaluationRequest,
    GetEvaluationRequest,
    ListEvaluationsRequest,
    ListImageResultsRequest,
    ListMetricResultsRequest,
    WatchEvaluationRequest,
)
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.model_pb2 import Model
from heatproof.v1.results_pb2 import ImageResult, MetricResult

GET: Final = Rpc(EvaluationServiceStub, "GetEvaluation")
LIST: Final = Rpc(EvaluationServiceStub, "ListEvaluations")
WATCH: Final = Rpc(EvaluationServiceStub, "WatchEvaluation")
CANCEL: Final = Rpc(EvaluationServiceStub, "CancelEvaluation")
DELETE: Final = Rpc(EvaluationServiceStub, "DeleteEvaluation")
METRIC_RESULTS: Final = Rpc(EvaluationServiceStub, "ListMetricResults")
IMAGE_RESULTS: Final = Rpc(EvaluationServiceStub, "ListImageResults")

EVALUATION_PREFIX: Final = "evaluations/"

ENDED: Final = frozenset(
    {
        Evaluation.STATE_SUCCEEDED,
        Evaluation.STATE_FAILED,
        Evaluation.STATE_CANCELLED,
        Evaluation.STATE_STOPPED,
    }
)


def evaluation(name: str, *, timeout: float | None = None) -> Flow[Evaluation]:
    """Finds an evaluation by its name, whoever has asked for it, also after a restart of either.

    Args:
        name: `evaluations/...`, as `submit` and `evaluations` give it.
        timeout: most seconds, uploads and waiting included; None: the client's, or none.

    Raises:
        UsageError: it is no such name.
        NotFoundError: the server has none of this name.
    """
    yield from limit(timeout)
    return (yield from found(name))


def evaluations(*, timeout: float | None = None) -> Flow[tuple[Evaluation, ...]]:
    """Lists the evaluations that the server works on or keeps, newest first.

    Args:
        timeout: most seconds, uploads and waiting included; None: the client's, or none.
    """
    yield from limit(timeout)
    page = "evaluations"
    listed = yield from every(LIST, lambda token: ListEvaluationsRequest(page_token=token), page)
    return tuple(listed)


def found(name: str) -> Flow[Evaluation]:
    """The evaluation of a name.

    Raises:
        UsageError: it is no name of an evaluation.
    """
    if not name.startswith(EVALUATION_PREFIX):
        raise UsageError(f"{name!r} names no evaluation: give evaluations/..., as listed")
    message: Evaluation = yield from patiently(Unary(GET, GetEvaluationRequest(name=name)))
    return message


def cancelled(name: str) -> Flow[Evaluation]:
    """Ends an evaluation; one that has ended is left as it is."""
    message: Evaluation = yield from patiently(Unary(CANCEL, CancelEvaluationRequest(name=name)))
    return message


def deleted(name: str) -> Flow[None]:
    """Deletes an evaluation that has ended, with its results."""
    yield from patiently(Unary(DELETE, DeleteEvaluationRequest(name=name)))


def ended(name: str, on_progress: OnProgress = ignore) -> Flow[Evaluation]:
    """Follows an evaluation to its end."""
    reader = bound(bound, _notice, on_progress)
    while True:
        request = WatchEvaluationRequest(name=name)
        last: list[Evaluation] = yield from patiently(Stream(WATCH, request, reader))
        if last:
            return last[-1]
        # The server closed the stream before the end, as one that shuts down does.
        yield Pause(1.0)


def _notice(on_progress: OnProgress, evaluation: Evaluation) -> Evaluation | None:
    if evaluation.state in ENDED - {Evaluation.STATE_SUCCEEDED}:
        return evaluation
    progress = evaluation.progress
    stage = Stage.QUEUED if evaluation.state == Evaluation.STATE_QUEUED else Stage.EVALUATE
    on_progress(
        Progress(
            stage,
            progress.predictions_done,
            progress.predictions_total,
            progress.images_done,
            progress.images_total,
            progress.predictions_known,
        )
    )
    return evaluation if evaluation.state in ENDED else None


def result(name: str, on_progress: OnProgress = ignore, *, partial: bool = False) -> Flow[Report]:
    """Waits for the end of an evaluation and reads its results.

    Args:
        name: `evaluations/...`.
        on_progress: is called with how far it is.
        partial: whether to take what a failed or cancelled evaluation has of its finished images.

    Raises:
        EvaluationFailedError: it failed; not if `partial`.
        EvaluationCancelledError: it was cancelled; not if `partial`.
    """
    evaluation = yield from ended(name, on_progress)
    if not partial:
        require_success(evaluation)
    models = yield from models_of(evaluation)
    images = yield from _dataset(evaluation.spec.dataset)
    return (yield from report(evaluation, models, images))


def models_of(evaluation: Evaluation) -> Flow[tuple[Model, ...]]:
    """The models of an evaluation, in its order; their names alone once they have been deleted."""
    models: list[Model] = []
    for model in evaluation.spec.models:
        found = yield from _model(model)
        models.append(found)  # a comprehension cannot yield
    return tuple(models)


def _model(name: str) -> Flow[Model]:
    """The model, or its name alone once it has been deleted."""
    try:
        return (yield from get_model(name))
    except NotFoundError:
        return Model(name=name)


def _dataset(name: str) -> Flow[Dataset]:
    """The data set, or its name alone once it has been deleted."""
    try:
        return (yield from get_dataset(name))
    except NotFoundError:
        return Dataset(name=name, display_name=name.removeprefix(DATASET_PREFIX))


def report(evaluation: Evaluation, models: tuple[Model, ...], images: Dataset) -> Flow[Report]:
    """Reads the results of an evaluation that has ended."""
    # The stream has all of them; a reply may lack what does not fit.
    scores = yield from _metric_results(evaluation.name)
    del evaluation.results[:]
    evaluation.results.extend(scores)
    results = yield from _image_results(evaluation)
    return Report(evaluation, tuple(results), models, images)


def require_success(evaluation: Evaluation) -> None:
    """Makes sure that an evaluation has all results that it was to have.

    Raises:
        EvaluationFailedError: it failed.
        EvaluationCancelledError: it was cancelled.
    """
    if evaluation.state == Evaluation.STATE_CANCELLED:
        raise EvaluationCancelledError(f"{evaluation.name} was cancelled")
    if evaluation.state == Evaluation.STATE_FAILED:
        status = read_status(evaluation.error, code="")
        raise EvaluationFailedError(
            f"{evaluation.name} failed: {status.message}",
            evaluation=evaluation.name,
            reason=status.reason,
        )


def _metric_results(name: str) -> Flow[list[MetricResult]]:
    request = ListMetricResultsRequest(name=name, view=ListImageResultsRequest.VIEW_FULL)
    found: list[MetricResult] = yield from patiently(Stream(METRIC_RESULTS, request))
    return found


def _image_results(evaluation: Evaluation) -> Flow[list[ImageResult]]:
    request = ListImageResultsRequest(name=evaluation.name, view=ListImageResultsRequest.VIEW_FULL)
    directions = [result.direction for result in evaluation.results]
    reader = bound(WorstPictures, directions)
    parts: list[ImageResult] = yield from patiently(Stream(IMAGE_RESULTS, request, reader))
    return joined(parts)
