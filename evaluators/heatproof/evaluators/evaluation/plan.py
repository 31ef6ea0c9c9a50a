"""What an evaluation will score and what it will cost, checked before anything runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from heatproof.evaluators.errors import placed, told_of
from heatproof.evaluators.evaluation.requirements import (
    check_evaluator,
    check_explainers,
    check_inventory,
    check_metric,
    check_panels,
    check_removals,
    check_use,
    require_complete,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.metrics import Case, Given, Metric
from heatproof.evaluators.metrics.robustness.attacks.counterparts import counterpart_rows
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import RemovalOperator


@dataclass(frozen=True, slots=True)
class ResultKey:
    """What one result is about; its place in `Plan.results` is its index.

    Attributes:
        models: names of the models; one, unless the metric compares a panel.
        metric: the metric.
        removal: the removal operator; None for metrics that remove nothing.
        explainer: the explainer; None for metrics of the model alone.
    """

    models: tuple[str, ...]
    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None

    def planned(self, facts: PredictorFacts) -> Case:
        """What will be scored on a model, while there is no image."""
        return Case(
            self.metric.reads, facts, Given(self.removal, self.explainer, models=self.models)
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What an evaluation will score and what it will cost.

    Attributes:
        results: what is scored, in the order models, metrics, removal operators, explainers; what
            compares a panel comes after the results of its last model.
        predictions: upper bound of the rows in all; a gradient counts as one row.
        result_predictions: the same of each result, beside what results share: clean answers,
            emptied images and maps.
        class_outputs: how the class scores of each model are read, where that is known.
        warnings: what was done to each model before it is run.
    """

    results: tuple[ResultKey, ...]
    predictions: int
    result_predictions: tuple[int, ...]
    class_outputs: tuple[ClassOutput, ...] = ()
    warnings: tuple[ModelWarning, ...] = ()


def result_keys(spec: EvaluationSpec) -> tuple[ResultKey, ...]:
    """Lists what a spec scores, in the order of `Plan.results`."""
    single = [metric for metric in spec.metrics if Reads.PANEL not in metric.reads]
    panel = [metric for metric in spec.metrics if Reads.PANEL in metric.reads]
    alone = (key for model in spec.models for key in _keys(spec, (model,), single))
    return (*alone, *_keys(spec, spec.models, panel))


def _keys(
    spec: EvaluationSpec, models: tuple[str, ...], metrics: Sequence[Metric]
) -> Iterator[ResultKey]:
    for metric in metrics:
        removals = spec.removals if metric.takes_removal else (None,)
        explainers = spec.explainers if metric.takes_explainer else (None,)
        for removal, explainer in product(removals, explainers):
            yield ResultKey(models, metric, removal, explainer)


def plan(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], inventory: Inventory) -> Plan:
    """Checks a spec against its models and images and counts its cost.

    Args:
        spec: what to evaluate.
        facts: what each model of the spec is and can do, by its name.
        inventory: what comes with the images.

    Raises:
        InvalidArgumentError: a parameter; its field is a path such as `metrics[2].deletion.steps`.
            Or the images lack labels, objects or maps that the spec reads, or a label is no class.
        UnsupportedOperatorError: a model cannot run what a metric, explainer or operator asks.
    """
    require_complete(spec)
    spec = resolved_spec(spec, inventory)
    keys = result_keys(spec)
    check_panels(spec, facts)
    check_evaluator(spec, facts)
    for model in spec.models:
        with told_of(model, among=len(spec.models)):
            _check_model(spec, facts, model, keys)
    check_inventory(spec, facts, inventory)
    check_use(spec)
    shared = sum(_shared_rows(spec, facts, model, keys) for model in spec.models)
    own = [_own_rows(spec, facts, key) for key in keys]
    readings = (facts[model].reading for model in spec.run_models)
    outputs = tuple(reading.output for reading in readings if reading is not None)
    warnings = tuple(warning for model in spec.run_models for warning in facts[model].warnings)
    return Plan(
        results=keys,
        predictions=(shared + sum(own)) * inventory.images,
        result_predictions=tuple(rows * inventory.images for rows in own),
        class_outputs=outputs,
        warnings=warnings,
    )


def resolved_spec(spec: EvaluationSpec, inventory: Inventory) -> EvaluationSpec:
    """The spec with every parameter decided that may be left to the images.

    Raises:
        InvalidArgumentError: the images lack what a metric reads.
    """
    metrics = []
    for index, metric in enumerate(spec.metrics):
        with placed(f"metrics[{index}].{metric.name}"):
            metrics.append(metric.resolved(inventory))
    return replace(spec, metrics=tuple(dict.fromkeys(metrics)))


def _check_model(
    spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], model: str, keys: Sequence[ResultKey]
) -> None:
    check_explainers(spec.explainers, facts[model])
    removing = [metric for metric in spec.metrics if metric.takes_removal]
    for judge in dict.fromkeys(spec.judge(metric, model) for metric in removing):
        check_removals(spec.removals, facts[judge])
    for index, metric in enumerate(spec.metrics):
        own = [key for key in keys if key.metric == metric and model in key.models]
        asked = facts[spec.judge(metric, model)]
        with placed(f"metrics[{index}].{metric.name}"):
            check_metric(metric, asked, [(key.planned(asked), key.explainer) for key in own])


def _shared_rows(
    spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], model: str, keys: Sequence[ResultKey]
) -> int:
    """Rows of one image that results share: clean, attacked, emptied by each operator, and maps."""
    maps = sum(explainer.cost(facts[model]) for explainer in spec.explainers)
    seen = [key for key in keys if model in key.models]
    hidden = [(spec.judge(key.metric, model), key.removal) for key in seen if key.removal]
    clean = len({model, *(spec.judge(metric, model) for metric in spec.metrics)})
    attacked = counterpart_rows((*spec.metrics, *spec.explainers, *spec.removals))
    return clean + attacked + len(set(hidden)) + maps


def _own_rows(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], key: ResultKey) -> int:
    """Rows of one image that a result takes beside those."""
    model = key.models[0]
    explanation = key.explainer.cost(facts[model]) if key.explainer else 0
    return key.metric.cost(key.planned(facts[spec.judge(key.metric, model)])).rows(explanation)
