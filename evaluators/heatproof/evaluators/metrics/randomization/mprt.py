"""Model parameter randomization: whether a map depends on what the model has learnt."""

from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import (
    SIMILARITIES,
    Numbers,
    Similarity,
    is_constant,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Curve, Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import Capability, ModelPass, Weights
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, together
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


class LayerOrder(StrEnum):
    """Which layers a stage draws anew."""

    TOP_DOWN = "top_down"
    BOTTOM_UP = "bottom_up"
    INDEPENDENT = "independent"


@METRICS.register
@dataclass(frozen=True, slots=True)
class Mprt(Metric):
    """Compares the map with the maps of the model as its weights are drawn anew, stage by stage.

    The mean over the stages of the likeness of both maps. A map that shows what the model has
    learnt loses its likeness; a map that stays alike shows the image. Weights come from normal
    distributions with each tensor's own mean and deviation (published: the layers' initializers).
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="mprt",
        reference="Adebayo et al. 2018, arXiv 1810.03292",
        category=MetricCategory.RANDOMIZATION,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.RANDOMIZED_MODELS),
    )

    stages: int = parameter(8, "Stages from trained to random.", within=Range(1, 1000))
    order: LayerOrder = parameter(LayerOrder.TOP_DOWN, "Which layers a stage draws anew.")
    similarity: Similarity = parameter(Similarity.SPEARMAN, "Likeness of two maps.")
    absolute: bool = parameter(default=True, summary="Whether the maps' magnitudes are compared.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the likenesses."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> dict[str, Reduction]:
        """The last stage, and the stages without a likeness of their own."""
        return {"last": Mean(Range(-1, 1)), "n_constant": Mean(NOT_NEGATIVE)}

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """All layers at random, which every stage is a part of."""
        return (ModelPass(model.model, Weights(model.layers)),)

    def check(self, case: Case) -> None:
        """Refuses a model without weights to draw.

        Raises:
            UnsupportedOperatorError: there are none.
        """
        if not case.model.layers:
            raise UnsupportedOperatorError(
                f"{self.name} needs {Capability.RANDOMIZATION}, which {case.model.model} lacks: no "
                "layer has constant weights",
                metadata={"model": case.model.model, "capability": Capability.RANDOMIZATION},
            )

    def cost(self, case: Case) -> Cost:
        """A prediction and a map at each stage."""
        return Cost(views=self.stages, explanations=self.stages)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`mean over j of similarity(A, A_j)`."""
        if is_constant(case.map.reshape(-1)):
            return Outcome(Undefined(Reason.DEGENERATE, "the map of the trained model is constant"))
        stages = range(1, self.stages + 1)
        found = yield from together(self._likeness(case, stage) for stage in stages)
        reason = next((one for one in found if isinstance(one, Undefined)), None)
        if reason is not None:
            return Outcome(reason)
        values = [one if isinstance(one, float) else 0.0 for one in found]
        parts = {"last": values[-1], "n_constant": float(sum(one is None for one in found))}
        curve = Curve(tuple(stage / self.stages for stage in stages), tuple(values))
        return Outcome(float(np.mean(values)), parts, {"similarity": curve})

    def _likeness(self, case: Case, stage: int) -> Procedure[float | Undefined | None]:
        """Likeness at a stage; None, which counts as 0, for a map that became constant."""
        # By the spec's seed alone, so that all images meet the same random models.
        weights = Weights(self._layers(case.model.layers, stage), case.sample.seed)
        sample = yield from case.randomized(weights)
        made = yield from case.explainer.explain(sample)
        if isinstance(made, Undefined):
            return made
        if not np.isfinite(made).all():
            return Undefined(Reason.NOT_FINITE, "the map of a random model is not finite")
        return SIMILARITIES[self.similarity](self._compared(case.map), self._compared(made))

    def _layers(self, layers: tuple[str, ...], stage: int) -> tuple[str, ...]:
        last = ceil(stage * len(layers) / self.stages)
        if self.order is LayerOrder.TOP_DOWN:
            return layers[len(layers) - last :]
        first = ceil((stage - 1) * len(layers) / self.stages)
        return layers[first:last] if self.order is LayerOrder.INDEPENDENT else layers[:last]

    def _compared(self, made: Map) -> Numbers:
        return np.asarray((np.abs(made) if self.absolute else made).reshape(-1))
