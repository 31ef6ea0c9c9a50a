"""Evaluations: asked for, waited for, and read."""

import contextlib
import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Required, TypeAlias, TypedDict, Unpack, cast

from heatproof.client.clients.effects import Flow, Rpc, Unary, limit
from heatproof.client.clients.flows.datasets import (
    AnnotationOptions,
    DatasetSource,
    gathered,
    stored,
)
from heatproof.client.clients.flows.following import CANCEL, ended, report, require_success
from heatproof.client.clients.flows.models import CallOptions, name_classes, stored_models
from heatproof.client.clients.progress import OnProgress, ignore
from heatproof.client.clients.retries import patiently
from heatproof.client.documents import messages
from heatproof.client.documents.annotations import PartialAnnotationsWarning
from heatproof.client.documents.attribution_maps import named_maps
from heatproof.client.documents.model_files import ModelSource, ModelSources
from heatproof.client.documents.policies import PreprocessingSource, read_preprocessing
from heatproof.client.documents.results import Report
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.documents.targets import TargetSource
from heatproof.client.errors import (
    ConnectionLostError,
    EvaluationInterrupted,
    HeatproofError,
    UnavailableError,
)
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import (
    CancelEvaluationRequest,
    CreateEvaluationRequest,
    CreateEvaluationResponse,
)
from heatproof.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.metrics_pb2 import Metric
from heatproof.v1.model_pb2 import Model
from heatproof.v1.removal_operators_pb2 import RemovalOperator

CREATE: Final = Rpc(EvaluationServiceStub, "CreateEvaluation")

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

MetricSource: TypeAlias = str | dict[str, Any] | Metric
"""A metric: its name, `{name: {parameter: value}}`, or a message."""

ExplainerSource: TypeAlias = str | dict[str, Any] | Explainer
"""An explainer, as `MetricSource`."""

RemovalSource: TypeAlias = str | dict[str, Any] | RemovalOperator
"""A removal operator, as `MetricSource`."""


class EvaluationOptions(AnnotationOptions, StatementOptions, CallOptions, total=False):
    """Further options of an evaluation.

    Attributes:
        target: what is explained: `predicted` (the model's own top class, the default), `label`,
            `class:207`, `contrast:207,208` or `group:281,282`; see `TargetSource`.
        class_names: names of the classes by index, for a target that names some; those that the
            models' files have by default.
        seed: seed of everything random; 0 by default.
        keep_overlays: whether to draw every map over its image; those of the 100 images that
            score worst by the first metric are kept.
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


class EvaluationQuestion(FollowedOptions, total=False):
    """What is asked of an evaluation: the keyword arguments of `evaluate`.

    Attributes:
        preprocessing: how the models read images.
        metrics: names, `{name: {parameter: value}}` or messages.
        explainers: likewise; needed if a metric needs a map.
        removals: likewise; needed if a metric removes regions.
        on_progress: is called with how far it is.
    """

    preprocessing: Required[PreprocessingSource]
    metrics: Required[Iterable[MetricSource]]
    explainers: Iterable[ExplainerSource]
    removals: Iterable[RemovalSource]
    on_progress: OnProgress


@dataclass(frozen=True, slots=True)
class _Prepared:
    """An evaluation whose models and images are on the server.

    Attributes:
        request: asks for it.
        models: its models, in their order.
        images: its data set.
        given: kinds of annotations that came with the images.
        on_progress: is called with how far it is.
    """

    request: CreateEvaluationRequest
    models: tuple[Model, ...]
    images: Dataset
    given: frozenset[str]
    on_progress: OnProgress


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
        model: path of an .onnx file, its bytes, a name `models/...`, or a `torch.nn.Module`, with
            `example`; or a list of these.
        images: paths, folders, arrays, Pillow images or bytes, or the name of an uploaded set.
        preprocessing: name of a preset (`imagenet`, `tf`, `unit`), path of a TOML file, or a table.
        metrics: names such as `"deletion"`, with parameters as `"deletion:grid=7"` or
            `{"deletion": {"grid": 7}}`; one alone or a list.
        explainers: likewise, such as `"grad_cam"`; needed if a metric needs a map.
        removals: likewise, such as `"layer"`; needed if a metric removes regions.
        on_progress: is called with how far it is.
        **options: labels, masks, boxes, maps, target, seed, overlays, what is said of the class
            output, an example of what modules take, a timeout, and whether models will be
            compared or metrics assessed; see `FollowedOptions` and `CallOptions`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it.
        EvaluationFailedError: the server could not finish it.
    """
    question = EvaluationQuestion(
        preprocessing=preprocessing,
        metrics=metrics,
        explainers=explainers,
        removals=removals,
        on_progress=on_progress,
        **options,
    )
    return (yield from _evaluated((yield from _prepared(model, images, question))))


def submit(
    model: ModelSource | list[ModelSource],
    images: DatasetSource,
    **question: Unpack[EvaluationQuestion],
) -> Flow[Evaluation]:
    """Uploads what the server lacks and has it evaluated, without waiting for the results.

    The evaluation goes on whoever waits, also over a restart of the server; its name is all that
    is needed to come back to it. On a server that the client has started itself it ends with that.

    Args:
        model: as of `evaluate`.
        images: as of `evaluate`.
        **question: the keyword arguments of `evaluate`; see `EvaluationQuestion`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server refused it.
    """
    prepared = yield from _prepared(model, images, question)
    created = yield from _created(prepared)
    return created.evaluation


def estimate(
    model: ModelSource | list[ModelSource],
    images: DatasetSource,
    **question: Unpack[EvaluationQuestion],
) -> Flow[EvaluationEstimate]:
    """Says what an evaluation would score and cost; uploads what the server lacks, runs nothing.

    Whatever `evaluate` would refuse before it runs is refused.

    Args:
        model: as of `evaluate`.
        images: as of `evaluate`.
        **question: the keyword arguments of `evaluate`; see `EvaluationQuestion`.

    Raises:
        UsageError: an argument is wrong; nothing was sent.
        ServiceError: the server would refuse it.
    """
    return (yield from _estimated((yield from _prepared(model, images, question))))


def _named_maps_explainers(question: EvaluationQuestion) -> list[ExplainerSource]:
    """An explainer for each set of maps that has a name and that no explainer asks for yet."""
    asked = [
        messages.read(Explainer, one) for one in messages.listed(question.get("explainers", ()))
    ]
    known = {one.supplied.map_name for one in asked if one.HasField("supplied")}
    names = named_maps(question.get("maps"))
    return [{"supplied": {"map_name": name}} for name in names if name and name not in known]


def _prepared(
    model: ModelSource | list[ModelSource], images: DatasetSource, question: EvaluationQuestion
) -> Flow[_Prepared]:
    sources = ModelSources(
        tuple(model) if isinstance(model, list) else (model,),
        question.get("example"),
        question.get("evaluator_model"),
    )
    yield from limit(question.get("timeout"))
    table: dict[str, object] = {
        "metrics": messages.listed(question["metrics"]),
        "explainers": [
            *messages.listed(question.get("explainers", ())),
            *_named_maps_explainers(question),
        ],
        "removals": messages.listed(question.get("removals", ())),
        **{name: value for name, value in question.items() if name in SPEC_OPTIONS},
    }
    spec = messages.read(EvaluationSpec, table)
    spec.preprocessing.CopyFrom(read_preprocessing(question["preprocessing"]))
    on_progress = question.get("on_progress", ignore)
    asked = CreateEvaluationRequest(
        spec=spec, compare=question.get("compare", False), assess=question.get("assess", False)
    )
    known = annotation_options(question)
    return (yield from _uploaded(asked, sources, images, on_progress, known))


def annotation_options(options: AnnotationOptions) -> AnnotationOptions:
    """Those options that say what is known about the images."""
    known = AnnotationOptions.__annotations__
    found = {name: value for name, value in options.items() if name in known}
    return cast("AnnotationOptions", found)


def run(
    asked: CreateEvaluationRequest,
    models: ModelSources,
    images: DatasetSource,
    on_progress: OnProgress,
    annotations: AnnotationOptions,
) -> Flow[Report]:
    """Uploads what the server lacks, then evaluates; `asked` names neither models nor images."""
    uploaded = yield from _uploaded(asked, models, images, on_progress, annotations)
    return (yield from _evaluated(uploaded))


def estimated(
    asked: CreateEvaluationRequest,
    models: ModelSources,
    images: DatasetSource,
    on_progress: OnProgress,
    annotations: AnnotationOptions,
) -> Flow[EvaluationEstimate]:
    """As `run`, but checks and counts only."""
    uploaded = yield from _uploaded(asked, models, images, on_progress, annotations)
    return (yield from _estimated(uploaded))


def _uploaded(
    asked: CreateEvaluationRequest,
    sources: ModelSources,
    images: DatasetSource,
    on_progress: OnProgress,
    annotations: AnnotationOptions,
) -> Flow[_Prepared]:
    found_images = yield from gathered(images, annotations)
    held = yield from stored_models(sources, on_progress)
    uploaded = {model.name: model for model in held[: len(sources.models)]}
    images_set = yield from stored(found_images, on_progress=on_progress)
    request = CreateEvaluationRequest()
    request.CopyFrom(asked)
    request.request_id = str(uuid.uuid4())
    request.spec.models.extend(uploaded)
    if sources.judge is not None:
        request.spec.evaluator_model = held[-1].name
    name_classes(request.spec, uploaded.values())
    if request.HasField("policy"):
        name_classes(request.policy, uploaded.values())
    request.spec.dataset = images_set.name
    given = frozenset(kind for kind in READ_AS if annotations.get(kind) is not None)
    return _Prepared(request, tuple(uploaded.values()), images_set, given, on_progress)


def _created(prepared: _Prepared) -> Flow[CreateEvaluationResponse]:
    created: CreateEvaluationResponse = yield from patiently(Unary(CREATE, prepared.request))
    for kind, name in READ_AS.items():
        if kind in prepared.given and name not in created.reads:
            warnings.warn(UNREAD[kind], PartialAnnotationsWarning, stacklevel=2)
    return created


def _estimated(prepared: _Prepared) -> Flow[EvaluationEstimate]:
    prepared.request.validate_only = True
    created = yield from _created(prepared)
    return EvaluationEstimate.of(created, prepared.models)


def _evaluated(prepared: _Prepared) -> Flow[Report]:
    created = yield from _created(prepared)
    name = created.evaluation.name
    try:
        evaluation = yield from ended(name, prepared.on_progress)
    except GeneratorExit:
        raise
    except UnavailableError as error:
        raise ConnectionLostError(error.status, evaluation=name) from error
    except BaseException as error:
        # Nobody waits any more: neither after an interrupt nor after an error of `on_progress`.
        with contextlib.suppress(HeatproofError):
            yield Unary(CANCEL, CancelEvaluationRequest(name=name))
        if isinstance(error, KeyboardInterrupt):
            raise EvaluationInterrupted(name) from None
        raise
    require_success(evaluation)
    return (yield from report(evaluation, prepared.models, prepared.images))
