"""Sufficiency after Dasgupta: whether maps near each other belong to one predicted class."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.predicted_class import predicted_class
from heatproof.evaluators.metrics.metric import METRICS, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.likeness import LikenessOfNear
from heatproof.evaluators.statistics.reductions import Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class DasguptaSufficiency(Metric):
    """Asks whether images whose maps lie near each other have the same predicted class.

    Of each image the share of the others with a map near its own that have its predicted class,
    averaged over the images that have such others. A score of the set alone, without an interval:
    what is told of an image is its predicted class, and the means of its map over the cells as the
    parts `cell[0]`, `cell[1]` and so on by rows, from which the set's distances are taken. That
    distances are between the means of cells, and not between pixels, is ours.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="dasgupta_sufficiency",
        reference="Dasgupta et al. 2022, arXiv 2202.00734",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    grid: int = parameter(7, "Cells along each side of the image.", within=Range(2, 16))
    near: float = parameter(
        0.6,
        "Maps up to this share of the set's largest distance apart are near.",
        within=Range(0, 1, upper_included=False),
    )

    @property
    def reduction(self) -> Reduction:
        """Whether the predicted class is alike where the maps are near."""
        return LikenessOfNear(cells=self.grid**2, near=self.near)

    def check(self, case: Case) -> None:
        """Refuses a grid finer than the pixels."""
        case.grid(self.grid).check()

    def score(self, case: Case) -> Procedure[Outcome]:
        """The predicted class, and the mean of the map over each cell."""
        yield from ()
        if case.map.min() == case.map.max():
            return Outcome(Undefined(Reason.DEGENERATE, "the map is constant"))
        means = case.grid(self.grid).means(case.map)
        cells = {LikenessOfNear.cell(place): float(mean) for place, mean in enumerate(means)}
        return Outcome(predicted_class(case.sample.clean), cells)
