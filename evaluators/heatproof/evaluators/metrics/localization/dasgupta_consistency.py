"""Consistency after Dasgupta: whether maps of one highest cell belong to one predicted class."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.predicted_class import predicted_class
from heatproof.evaluators.metrics.metric import METRICS, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions.grid import saliency_order
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.likeness import LikenessOfPart
from heatproof.evaluators.statistics.reductions import Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class DasguptaConsistency(Metric):
    """Asks whether images whose maps have the same highest cell have the same predicted class.

    Of each image the share of the others with its highest cell that have its predicted class,
    averaged over the images that have such others. A score of the set alone, without an interval:
    what is told of an image is the number of its highest cell, and its predicted class as a part.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="dasgupta_consistency",
        reference="Dasgupta et al. 2022, arXiv 2202.00734",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 4096))

    @property
    def reduction(self) -> Reduction:
        """Whether the predicted class is alike where the highest cell is."""
        return LikenessOfPart("predicted_class")

    def check(self, case: Case) -> None:
        """Refuses a grid finer than the pixels."""
        case.grid(self.grid).check()

    def score(self, case: Case) -> Procedure[Outcome]:
        """The number of the highest cell, from 0 by rows."""
        yield from ()
        order = saliency_order(case.grid(self.grid), case.map, case.sample.rng("ties"))
        if isinstance(order, Undefined):
            return Outcome(order)
        return Outcome(float(order[0]), {"predicted_class": predicted_class(case.sample.clean)})
