"""What an evaluation will score and what it will cost, checked before anything runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from heatproof.evaluators.catalogue import Need
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.spec import EvaluationSpec


@dataclass(frozen=True, slots=True)
class ResultKey:
    """What one result is about; its place in `Plan.results` is its index.

    Attributes:
        model: name of the model.
        metric: the metric.
        removal: the removal operator; None for metrics that remove nothing.
        explainer: the explainer; None for metrics of the model alone.
    """

    model: str
    metric: Metric
    removal: RemovalOperator | None
    explainer: Explainer | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What an evaluation will score and what it will cost.

    Attributes:
        results: what is scored, in the order models, metrics, removal operators, explainers.
        predictions: upper bound of the rows in all; a gradient counts as one row.
    """

    results: tuple[ResultKey, ...]
    predictions: int


def result_keys(spec: EvaluationSpec) -> tuple[ResultKey, ...]:
    """Lists what a spec scores, in the order models, metrics, removal operators, explainers."""
    return tuple(
        ResultKey(model, metric, removal, explainer)
        for model in spec.models
        for metric in spec.metrics
        for removal in (spec.removals if Need.REMOVAL in metric.needs else (None,))
        for explainer in (spec.explainers if Need.EXPLAINER in metric.needs else (None,))
    )


def plan(spec: EvaluationSpec, facts: Mapping[str, PredictorFacts], images: int) -> Plan:
    """Checks a spec against its models and counts its cost.

    Args:
        spec: what to evaluate.
        facts: what each model of the spec is and can do, by its name.
        images: number of images.

    Raises:
        InvalidArgumentError: a parameter; its field is a path such as `metrics[2].deletion.steps`.
        UnsupportedOperatorError: a model cannot do what a metric, explainer or operator needs.
    """
    raise NotImplementedError
