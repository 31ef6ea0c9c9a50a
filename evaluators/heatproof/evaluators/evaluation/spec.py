"""What to evaluate and how; equal specs give equal scores."""

from dataclasses import dataclass, replace
from typing import Final, Self

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.queries.class_outputs import Activation, Statement
from heatproof.evaluators.queries.targets import PREDICTED, Target
from heatproof.evaluators.registry.registry import Reads, Registered
from heatproof.evaluators.removal import RemovalOperator

_OF_SEVERAL_MODELS: Final = frozenset({Reads.PANEL, Reads.PANEL_MAPS, Reads.PANEL_TARGETS})


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSpec:
    """What to evaluate and how.

    Attributes:
        models: names of the models.
        dataset: name of the data set, "" when the images come with the request.
        preprocessing: how images become the models' input.
        metrics: each is scored with every removal operator and explainer it needs.
        explainers: where the maps come from.
        removals: how regions are hidden.
        target: what of the models' answers is explained.
        seed: of everything random.
        keep_overlays: whether to keep a picture of every map.
        output: name of the models' output that holds the class scores; "" leaves it to the graph.
        activation: what the values of that output are; None leaves it to the graph.
        evaluator_model: name of the model that judges the maps of the models, where regions are
            hidden; "": each model judges its own.
        units: most units of sampling that are evaluated, the first in their seeded order; 0: all.
        no_cache: whether every answer is computed anew, and none is kept; scores are the same.
    """

    models: tuple[str, ...]
    dataset: str = ""
    preprocessing: Preprocessing
    metrics: tuple[Metric, ...]
    explainers: tuple[Explainer, ...] = ()
    removals: tuple[RemovalOperator, ...] = ()
    target: Target = PREDICTED
    seed: int = 0
    keep_overlays: bool = False
    output: str = ""
    activation: Activation | None = None
    evaluator_model: str = ""
    units: int = 0
    no_cache: bool = False

    @property
    def run_models(self) -> tuple[str, ...]:
        """All models that are run, each once: those that are explained, and the evaluator."""
        evaluator = (self.evaluator_model,) if self.evaluator_model else ()
        return tuple(dict.fromkeys((*self.models, *evaluator)))

    def judge(self, metric: Metric, model: str) -> str:
        """The model that a metric asks about the map of a model."""
        return self.evaluator_model if self.evaluator_model and metric.takes_evaluator else model

    def alone(self, model: str) -> Self:
        """What is asked of one of several models, whichever the others are."""
        metrics = tuple(
            metric
            for metric in self.metrics
            if _OF_SEVERAL_MODELS.isdisjoint(metric.reads) and self.judge(metric, model) == model
        )
        return replace(self, models=(model,), metrics=metrics, evaluator_model="")

    @property
    def registered(self) -> tuple[Registered, ...]:
        """Metrics, explainers and removal operators."""
        return (*self.metrics, *self.explainers, *self.removals)

    @property
    def stated(self) -> Statement:
        """What the user says of the models' class output."""
        return Statement(self.output, self.activation)
