"""Evaluations: asked for, waited for, and read."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Required, TypeAlias, TypedDict, Unpack, cast

from heatproof.client.clients.effects import Flow, limit
from heatproof.client.clients.flows.datasets import (
    AnnotationOptions,
    DatasetSource,
    gathered,
    stored,
)
from heatproof.client.clients.flows.following import report
from heatproof.client.clients.flows.models import CallOptions, name_classes, stored_models
from heatproof.client.clients.flows.running.budgets import checked_budget, fit_budget, timed
from heatproof.client.clients.flows.running.prepared import (
    READ_AS,
    Prepared,
    counted,
    created,
    followed,
)
from heatproof.client.clients.progress import OnProgress, ignore
from heatproof.client.documents import messages
from heatproof.client.documents.attribution_maps import named_maps
from heatproof.client.documents.model_files import ModelSource, ModelSources
from heatproof.client.documents.policies import PreprocessingSource, read_preprocessing
from heatproof.client.documents.results import Report
from heatproof.client.documents.results.estimates import EvaluationEstimate
from heatproof.client.documents.statements import StatementOptions
from heatproof.client.documents.targets import TargetSource
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.evaluation_service_pb2 import CreateEvaluationRequest
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.metrics_pb2 import Metric
from heatproof.v1.removal_operators_pb2 import RemovalOperator

SPEC_OPTIONS: Final = (
    *("target", "class_names", "seed", "keep_overlays", "output", "activation", "units"),
    "no_cache",
)
"""Options that are fields of the spec."""

MetricSource: TypeAlias = str | dict[str, Any] | Metric
"""A metric: its name, `{name: {parameter: value}}`, or a message."""

ExplainerSource: TypeAlias = str | dict[str, Any] | Explainer
"""An explainer, as `MetricSource`."""

RemovalSource: TypeAlias = str | dict[str, Any] | RemovalOperator
"""A removal operator, as `MetricSource`."""


class CacheOptions(TypedDict, total=False):
    """What is made of answers that the server knows from earlier requests.

    Attributes:
        no_cache: whether every prediction is made anew, and none is kept; scores and maps are the
            same.
    """

    no_cache: bool


class EvaluationOptions(
    AnnotationOptions, StatementOptions, CallOptions, CacheOptions, total=False
):
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


class SampleOptions(TypedDict, total=False):
    """How much of a data set is evaluated.

    Attributes:
        units: most units of sampling (images, or groups of them), the first in an order that the
            seed decides; 0, the default: all.
        budget: seconds within which the evaluation should end; as many units are evaluated as fit,
            by what units have cost, or by what a few cost that are tried first. Excludes `units`.
    """

    units: int
    budget: float | None


class ComputedOptions(JudgeOptions, CacheOptions, total=False):
    """How the answers come about that scores are made of."""


class FollowedOptions(EvaluationOptions, JudgeOptions, SampleOptions, total=False):
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
    return (yield from evaluated((yield from _prepared(model, images, question))))


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
    yield from fit_budget(prepared)
    reply = yield from created(prepared)
    return reply.evaluation


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
    return (yield from forecast((yield from _prepared(model, images, question))))


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
) -> Flow[Prepared]:
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
    request = CreateEvaluationRequest(
        spec=spec, compare=question.get("compare", False), assess=question.get("assess", False)
    )
    asked = Asked(
        request,
        sources,
        annotation_options(question),
        question.get("on_progress", ignore),
        checked_budget(question.get("budget"), question.get("units", 0)),
    )
    return (yield from uploaded(asked, images))


def annotation_options(options: AnnotationOptions) -> AnnotationOptions:
    """Those options that say what is known about the images."""
    known = AnnotationOptions.__annotations__
    found = {name: value for name, value in options.items() if name in known}
    return cast("AnnotationOptions", found)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked, before models and images are uploaded.

    Attributes:
        request: asks for an evaluation; names neither models nor images.
        models: its models, and the judge.
        annotations: what is known about the images.
        on_progress: is called with how far it is.
        budget: seconds within which it should end; None: whatever it takes.
    """

    request: CreateEvaluationRequest
    models: ModelSources
    annotations: AnnotationOptions
    on_progress: OnProgress
    budget: float | None


def uploaded(asked: Asked, images: DatasetSource) -> Flow[Prepared]:
    """Uploads what the server lacks of models and images."""
    found_images = yield from gathered(images, asked.annotations)
    held = yield from stored_models(asked.models, asked.on_progress)
    models = {model.name: model for model in held[: len(asked.models.models)]}
    images_set = yield from stored(found_images, on_progress=asked.on_progress)
    request = CreateEvaluationRequest()
    request.CopyFrom(asked.request)
    request.request_id = str(uuid.uuid4())
    request.spec.models.extend(models)
    if asked.models.judge is not None:
        request.spec.evaluator_model = held[-1].name
    name_classes(request.spec, models.values())
    if request.HasField("policy"):
        name_classes(request.policy, models.values())
        if request.policy.sequential and len(asked.models.models) > 1:
            request.baseline_model = list(models)[-1]  # the candidate's, if it has its bytes
    request.spec.dataset = images_set.name
    return Prepared(
        request=request,
        models=tuple(models.values()),
        images=images_set,
        given=frozenset(kind for kind in READ_AS if asked.annotations.get(kind) is not None),
        on_progress=asked.on_progress,
        budget=asked.budget,
    )


def evaluated(prepared: Prepared) -> Flow[Report]:
    """Evaluates what fits into the budget, and reads the results."""
    yield from fit_budget(prepared)
    evaluation = yield from followed(prepared)
    return (yield from report(evaluation, prepared.models, prepared.images))


def forecast(prepared: Prepared, *, tried: bool = False) -> Flow[EvaluationEstimate]:
    """Counts what fits into the budget; `tried` also tries a few units where none has run yet."""
    yield from fit_budget(prepared)
    return (yield from (timed if tried else counted)(prepared))
