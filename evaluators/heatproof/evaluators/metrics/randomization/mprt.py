"""Model parameter randomization: whether a map depends on what the model has learnt."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.randomization.model_randomization import (
    StagedRandomization,
    sound_map,
)
from heatproof.evaluators.outcomes import Direction, Undefined
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Mprt(StagedRandomization):
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

    def cost(self, case: Case) -> Cost:
        """A map at each stage, and an answer where the explainer reads it."""
        views = self.stages if case.explainer.reads_answer else 0
        return Cost(views=views, explanations=self.stages)

    def trained_map(self, case: Case) -> Procedure[Map | Undefined]:
        """The explainer's map."""
        yield from ()
        return case.map

    def stage_map(self, case: Case, weights: Weights) -> Procedure[Map | Undefined]:
        """The explainer's map of the same class."""
        return (yield from sound_map(case, case.randomized(weights), "a random model"))
