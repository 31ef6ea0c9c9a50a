"""Evaluations: asked for, waited for, and read."""

import contextlib
import uuid
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypedDict, Unpack, cast

from heatproof.client.clients.effects import Flow, Pause, Rpc, Stream, Unary
from heatproof.client.clients.flows.datasets import (
    AnnotationOptions,
    DatasetSource,
    gathered,
    stored,
)
from heatproof.client.clients.flows.models import inspect, name_classes
from heatproof.client.clients.progress import OnProgress, Progress, Stage, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.clients.statuses import read_status
from heatproof.client.documents import messages
from heatproof.client.documents.annotations import PartialAnnotationsWarning
from heatproof.client.documents.model_files import ModelSource
from heatproof.client.documents.policies import PreprocessingSource, read_preprocessing
from heatproof.client.documents.results import Report, joined
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.documents.targets import TargetSource
from heatproof.client.errors import (
    EvaluationCancelledError,
    EvaluationFailedError,
    HeatproofError,
)
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    CreateEvaluationResponse,
    ListImageResultsRequest,
    ListMetricResultsRequest,
    WatchEvaluationRequest,
)
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.metrics_pb2 import Metric
from heatproof.v1.model_pb2 import Model
from heatproof.v1.removal_operators_pb2 import RemovalOperator
from heatproof.v1.results_pb2 import ImageResult, MetricResult

CREATE: Final = Rpc(EvaluationServiceStub, "CreateEvaluation")
WATCH: Final = Rpc(EvaluationServiceStub, "WatchEvaluation")
CANCEL: Final = Rpc(EvaluationServiceStub, "CancelEvaluation")
METRIC_RESULTS: Final = Rpc(EvaluationServiceStub, "ListMetricResults")
IMAGE_RESULTS: Final = Rpc(EvaluationServiceStub, "ListImageResults")

OVERLAY_IMAGES: Final = 100
"""Images whose overlays are kept; those of more would fill the memory."""

READ_AS: Final[Mapping[str, str]] = MappingProxyType(
    {"masks": "objects", "boxes": "boxes", "replacements": "replacement"}
)
"""What kinds of annotations are called among what an evaluation reads."""

UNREAD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "masks": "none of the metrics reads the object masks: name one that needs objects "
        "(`heatproof metrics` lists them; explanation_consistency does but with background map or "
        "shared), or leave the masks out",
        "boxes": "nothing splits images by their boxes: choose boxes as the regions of a metric or "
        "explainer, such as segment_removal:regions.boxes.side=8, or leave the boxes out",
        "replacements": "nothing shows the replacements: choose the removal operator replacement, "
        "or leave them out",
    }
)
"""What is said where one of them is not read."""

SPEC_OPTIONS: Final = ("target", "class_names", "seed", "keep_overlays", "output", "activation")
"""Options that are fields of the spec."""

ENDED: Final = frozenset(
    {Evaluation.STATE_SUCCEEDED, Evaluation.STATE_FAILED, Evaluation.STATE_CANCELLED}
)

MetricSource: TypeAlias = str | dict[str, Any] | Metric
"""A metric: its name, `{name: {parameter: value}}`, or a message."""

ExplainerSource: TypeAlias = str | dict[str, Any] | Explainer
"""An explainer, as `MetricSource`."""

RemovalSource: TypeAlias = str | dict[str, Any] | RemovalOperator
"""A removal operator, as `MetricSource`."""


class EvaluationOptions(AnnotationOptions, StatementOptions, total=False):
    """Further options of an evaluation.

    Attributes:
        target: what is explained: `predicted` (the model's own top class, the default), `label`,
            `class:207`, `contrast:207,208` or `group:281,282`; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        seed: seed of everything random; 0 by default.
        keep_overlays: whether to draw every map over its image; those of the first
            `OVERLAY_IMAGES` images are fetched.
    """

    target: TargetSource
    class_names: Sequence[str]
    seed: int
    keep_overlays: bool


class JudgeOptions(TypedDict, total=False):
    """Which other model judges maps.

    Attributes:
        evaluator_model: the model that judges the maps of all others where regions are hidden, such
            as one that was fine-tuned on images with hidden regions; as `model`.
    """

    evaluator_model: ModelSource


class FollowedOptions(EvaluationOptions, JudgeOptions, total=False):
    """Options of an evaluation, who judges maps, and what will be asked of the results.

    Attributes:
        compare: whether `compare_models` will follow: what it would refuse is refused beforehand.
        assess: whether `assess_metrics` will follow, likewise.
    """

    compare: bool
    assess: bool


def evaluate(
    model: ModelSource | list[ModelSource],
    images: DatasetSource,
    *,
    preprocessing: PreprocessingSource,
    metrics: Iterable[MetricSource],
    explainers: Iterable[ExplainerSource] = (),
    removals: Iterable[RemovalSource] = (),
    on_progress: OnProgress = ignore,
    **options: Unpack[FollowedOptions],
) -> Flow[Report]:
    """Scores the explanations of a model, or of several, and waits for the results.

    Args:
        model: path of an .onnx file, its bytes, or a name `models/...`; or a list of these.
        images: paths, folders, arrays, Pillow images or bytes, or the name of an uploaded set.
        preprocessing: name of a preset (`imagenet`, `tf`, `unit`), path of a TOML file, or a table.
        metrics: names such as `"deletion"`, or with parameters `{"deletion": {"grid": 7}}`.
        explainers: likewise, such as `"grad_cam"`; needed if a metric needs a map.
        removals: likewise, such as `"layer"`; needed if a metric removes regions.
        on_progress: is called with how far it is.
        **options: labels, masks, boxes, maps, target, seed, overlays, what is said of the class
            output, and whether models will be compared or metrics assessed; see
            `FollowedOptions`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it.
        EvaluationFailedError: the server could not finish it.
    """
    table: dict[str, object] = {
        "metrics": list(metrics),
        "explainers": list(explainers),
        "removals": list(removals),
        **{name: value for name, value in options.items() if name in SPEC_OPTIONS},
    }
    spec = messages.read(EvaluationSpec, table)
    spec.preprocessing.CopyFrom(read_preprocessing(preprocessing))
    sources = model if isinstance(model, list) else [model]
    if "evaluator_model" in options:
        judge = yield from inspect(options["evaluator_model"], on_progress=on_progress)
        spec.evaluator_model = judge.name
    asked = CreateEvaluationRequest(
        spec=spec, compare=options.get("compare", False), assess=options.get("assess", False)
    )
    return (yield from run(asked, sources, images, on_progress, annotation_options(options)))


def annotation_options(options: AnnotationOptions) -> AnnotationOptions:
    """Those options that say what is known about the images."""
    known = AnnotationOptions.__annotations__
    found = {name: value for name, value in options.items() if name in known}
    return cast("AnnotationOptions", found)


def run(
    asked: CreateEvaluationRequest,
    models: Iterable[ModelSource],
    images: DatasetSource,
    on_progress: OnProgress,
    annotations: AnnotationOptions,
) -> Flow[Report]:
    """Uploads what the server lacks, then evaluates; `asked` names neither models nor images."""
    found_images = yield from gathered(images, annotations)
    uploaded: dict[str, Model] = {}
    for source in models:
        found = yield from inspect(source, on_progress=on_progress)
        uploaded[found.name] = found
    images_set = yield from stored(found_images, on_progress=on_progress)
    request = CreateEvaluationRequest()
    request.CopyFrom(asked)
    request.request_id = str(uuid.uuid4())
    request.spec.models.extend(uploaded)
    name_classes(request.spec, uploaded.values())
    if request.HasField("policy"):
        name_classes(request.policy, uploaded.values())
    request.spec.dataset = images_set.name
    created: CreateEvaluationResponse = yield from patiently(Unary(CREATE, request))
    for kind, name in READ_AS.items():
        if annotations.get(kind) is not None and name not in created.reads:
            warnings.warn(UNREAD[kind], PartialAnnotationsWarning, stacklevel=2)
    return (yield from _evaluated(created, tuple(uploaded.values()), images_set, on_progress))


def _evaluated(
    created: CreateEvaluationResponse,
    models: tuple[Model, ...],
    images: Dataset,
    on_progress: OnProgress,
) -> Flow[Report]:
    name = created.evaluation.name
    try:
        evaluation = yield from _ended(name, on_progress)
    except GeneratorExit:
        raise
    except BaseException:
        # Nobody waits any more: neither after an interrupt nor after an error of `on_progress`.
        with contextlib.suppress(HeatproofError):
            yield Unary(CANCEL, CancelEvaluationRequest(name=name))
        raise
    _require_success(evaluation)
    # The stream has all of them; a reply may lack what does not fit.
    scores = yield from _metric_results(name)
    del evaluation.results[:]
    evaluation.results.extend(scores)
    results = yield from _image_results(name)
    return Report(evaluation, tuple(results), models, images)


def _ended(name: str, on_progress: OnProgress) -> Flow[Evaluation]:
    """Follows an evaluation to its end."""
    reader = partial(partial, _notice, on_progress)
    while True:
        request = WatchEvaluationRequest(name=name)
        ended: list[Evaluation] = yield from patiently(Stream(WATCH, request, reader))
        if ended:
            return ended[-1]
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
        )
    )
    return evaluation if evaluation.state in ENDED else None


def _require_success(evaluation: Evaluation) -> None:
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


def _image_results(name: str) -> Flow[list[ImageResult]]:
    request = ListImageResultsRequest(name=name, view=ListImageResultsRequest.VIEW_FULL)
    parts: list[ImageResult] = yield from patiently(Stream(IMAGE_RESULTS, request, _lightening))
    return joined(parts)


def _lightening() -> Callable[[ImageResult], ImageResult]:
    """Makes what takes the overlays off all but the first images of a stream."""
    images = 0

    def lightened(part: ImageResult) -> ImageResult:
        nonlocal images
        images += not part.continuation
        if images > OVERLAY_IMAGES:
            part.ClearField("overlays")
        return part

    return lightened
