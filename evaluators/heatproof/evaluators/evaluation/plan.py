"""What an evaluation will score and what it will cost, checked before anything runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any, Final, cast

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidArgumentError,
    UnsupportedOperatorError,
)
from heatproof.evaluators.evaluation.inventory import Inventory, Presence
from heatproof.evaluators.evaluation.spec import EvaluationSpec, Target
from heatproof.evaluators.explainers import Explainer, Supplied
from heatproof.evaluators.metrics import Metric, Setting
from heatproof.evaluators.metrics.metric import resolved
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.queries.predictor import PredictorFacts, Shortfall
from heatproof.evaluators.registry.parameters import check_parameters
from heatproof.evaluators.registry.registry import Need, Registered
from heatproof.evaluators.removal import RemovalOperator


@dataclass(frozen=True, slots=True)
class ResultKey:
    """What one result is about; its place in `Plan.results` is its index.

    Attributes:
        models: names of the models that the score is of; most metrics score one.
        metric: the metric.
        removal: the removal operator; None for metrics that remove nothing.
        explainer: the explainer; None for metrics of the model alone.
    """

    models: tuple[str, ...]
    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an evaluation will score and what it will cost.

    Attributes:
        results: what is scored, in the order models, metrics, removal operators, explainers.
        predictions: upper bound of the rows in all; a gradient counts as one row.
        class_outputs: how the class scores of each model are read, where that is known.
        warnings: what was done to each model before it is run.
    """

    results: tuple[ResultKey, ...]
    predictions: int
    class_outputs: tuple[ClassOutput, ...] = ()
    warnings: tuple[ModelWarning, ...] = ()


def result_keys(spec: EvaluationSpec) -> tuple[ResultKey, ...]:
    """Lists what a spec scores, in the order models, metrics, removal operators, explainers."""
    return tuple(
        ResultKey((model,), metric, removal, explainer)
        for model in spec.models
        for metric in spec.metrics
        for removal, explainer in _combinations(spec, metric)
    )


def plan(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], inventory: Inventory) -> Plan:
    """Checks a spec against its models and images and counts its cost.

    Args:
        spec: what to evaluate.
        facts: what each model of the spec is and can do, by its name.
        inventory: what comes with the images.

    Raises:
        InvalidArgumentError: a parameter; its field is a path such as `metrics[2].deletion.steps`.
            Or the images lack labels or maps that the spec reads, or a label is no class.
        UnsupportedOperatorError: a model cannot do what a metric, explainer or operator needs.
    """
    _check_complete(spec)
    spec = resolved_spec(spec, inventory)
    for model in spec.models:
        _check_model(spec, facts[model])
        _check_label(facts[model], inventory)
    _check_inventory(spec, inventory)
    _check_use(spec)
    keys = result_keys(spec)
    rows = sum(_rows_of_image(spec, facts[model], keys) for model in spec.models)
    readings = (facts[model].reading for model in spec.models)
    outputs = tuple(reading.output for reading in readings if reading is not None)
    warnings = tuple(warning for model in spec.models for warning in facts[model].warnings)
    return Plan(keys, rows * inventory.images, outputs, warnings)


def resolved_spec(spec: EvaluationSpec, inventory: Inventory) -> EvaluationSpec:
    """The spec with every parameter decided that may be left to the images.

    Raises:
        InvalidArgumentError: the images lack what a metric reads.
    """
    metrics = []
    for index, metric in enumerate(spec.metrics):
        with placed(f"metrics[{index}].{metric.name}"):
            metrics.append(resolved(metric, inventory))
    return replace(spec, metrics=tuple(dict.fromkeys(metrics)))


_LISTS: Final[Mapping[Need, str]] = {Need.EXPLAINER: "explainers", Need.REMOVAL: "removals"}
"""The fields of a spec that metrics are combined with."""


def _check_complete(spec: EvaluationSpec) -> None:
    """Refuses a spec that scores nothing, and parameters outside their ranges."""
    if not spec.metrics:
        raise InvalidArgumentError("metrics is empty: name at least one metric", field="metrics")
    for need, field in _LISTS.items():
        wanting = [metric.name for metric in spec.metrics if need in metric.needs]
        if wanting and not getattr(spec, field):
            raise InvalidArgumentError(
                f"{wanting[0]} needs {field}: name at least one {need}", field=field
            )


def _check_use(spec: EvaluationSpec) -> None:
    """Refuses explainers and removal operators that no result would have."""
    for need, field in _LISTS.items():
        is_read = any(need in metric.needs for metric in spec.metrics)
        if getattr(spec, field) and not is_read and not _is_drawn(spec, need):
            raise InvalidArgumentError(
                f"none of the metrics reads {field}, so no result would have one: leave {field} "
                "out, or name a metric that needs them",
                field=field,
            )


def _is_drawn(spec: EvaluationSpec, need: Need) -> bool:
    """Whether maps are asked for their pictures alone."""
    return need is Need.EXPLAINER and spec.keep_overlays


def _check_inventory(spec: EvaluationSpec, inventory: Inventory) -> None:
    """Refuses a spec that reads what did not come with every image."""
    if spec.target is Target.LABEL and (unlabelled := inventory.labels.first_without) is not None:
        raise InvalidArgumentError(
            f"target label needs a label for every image; {_lacking(inventory, inventory.labels)} "
            f"have none, {unlabelled!r} first: label them, or explain the predicted class",
            field="target",
        )
    for index, explainer in enumerate(spec.explainers):
        if isinstance(explainer, Supplied):
            with placed(f"explainers[{index}].{explainer.name}"):
                _check_maps(explainer.map_name, inventory)


def _check_maps(name: str, inventory: Inventory) -> None:
    found = inventory.with_map(name)
    if found.first_without is None:
        return
    known = ", ".join(map(repr, inventory.maps)) or "none"
    raise InvalidArgumentError(
        f"{_lacking(inventory, found)} images came without a map named {name!r}, "
        f"{found.first_without!r} first; names of maps that came: {known}. Send a map with every "
        "image, or leave these images or the explainer supplied out",
        field="map_name",
    )


def _lacking(inventory: Inventory, presence: Presence) -> str:
    return f"{inventory.images - presence.count} of {inventory.images}"


def _check_label(facts: PredictorFacts, inventory: Inventory) -> None:
    if inventory.highest_label is None:
        return
    label, image = inventory.highest_label
    if label >= facts.classes:
        raise InvalidArgumentError(
            f"{image!r} has the label {label}, but {facts.model} has {facts.classes} classes, 0 to "
            f"{facts.classes - 1}: correct the labels",
            field="dataset",
        )


def check_explainers(explainers: Sequence[Explainer], facts: PredictorFacts) -> None:
    """Refuses explainers whose parameters are wrong or that the model cannot serve.

    Raises:
        InvalidArgumentError: at a path such as `explainers[1].rise.masks`.
        UnsupportedOperatorError: the model lacks gradients or masking rules.
    """
    for index, explainer in enumerate(explainers):
        with placed(f"explainers[{index}].{explainer.name}"):
            check_parameters(explainer)
            _check_needs(explainer, facts)
            explainer.check(facts)


def check_removals(removals: Sequence[RemovalOperator], facts: PredictorFacts) -> None:
    """Refuses removal operators as `check_explainers` does explainers."""
    for index, removal in enumerate(removals):
        with placed(f"removals[{index}].{removal.name}"):
            check_parameters(removal)
            _check_needs(removal, facts)


def _check_model(spec: EvaluationSpec, facts: PredictorFacts) -> None:
    check_explainers(spec.explainers, facts)
    check_removals(spec.removals, facts)
    for index, metric in enumerate(spec.metrics):
        with placed(f"metrics[{index}].{metric.name}"):
            check_parameters(metric)
            _check_needs(metric, facts)
            for removal, explainer in _combinations(spec, metric):
                metric.check(Setting(facts, removal, explainer))


def _combinations(
    spec: EvaluationSpec, metric: Metric
) -> Iterator[tuple[RemovalOperator | None, Explainer | None]]:
    removals = spec.removals if Need.REMOVAL in metric.needs else (None,)
    explainers = spec.explainers if Need.EXPLAINER in metric.needs else (None,)
    return product(removals, explainers)


@contextmanager
def placed(path: str) -> Iterator[None]:
    """Puts errors at a field of the request, or below it if they name a field themselves."""
    try:
        yield
    except HeatproofError as error:
        field = f"{path}.{error.field}" if error.field else path
        raise type(error)(error.message, field=field, metadata=error.metadata) from error


_CAPABILITIES: Final[Mapping[Need, Callable[[PredictorFacts], Shortfall | None]]] = {
    Need.GRADIENTS: lambda facts: facts.gradients,
    Need.ACTIVATION_GRADIENTS: lambda facts: facts.activation_gradients,
    Need.LAYER_MASKING: lambda facts: facts.layer_masking,
}


def _check_needs(thing: Registered, facts: PredictorFacts) -> None:
    """Refuses what the model lacks, for the thing itself and for operators inside it."""
    nested = (getattr(thing, field.name) for field in fields(cast("Any", thing)))
    parts = [thing, *(value for value in nested if is_dataclass(value))]
    for need in (need for part in parts for need in cast("Registered", part).needs):
        shortfall = _CAPABILITIES[need](facts) if need in _CAPABILITIES else None
        if shortfall is not None:
            raise UnsupportedOperatorError(
                f"{thing.name} needs {need}, which {facts.model} lacks: {shortfall.reason}",
                metadata={"model": facts.model, "capability": shortfall.capability},
            )


def _rows_of_image(spec: EvaluationSpec, facts: PredictorFacts, keys: Sequence[ResultKey]) -> int:
    """Rows of one image: clean, each operator's empty image, maps, and what the metrics add."""
    own = [key for key in keys if key.models == (facts.model,)]
    explainers = {explainer: explainer.predictions(facts) for explainer in spec.explainers}
    metrics = sum(key.metric.predictions(Setting(facts, key.removal, key.explainer)) for key in own)
    empty = len({key.removal for key in own if key.removal is not None})
    return 1 + empty + sum(explainers.values()) + metrics
