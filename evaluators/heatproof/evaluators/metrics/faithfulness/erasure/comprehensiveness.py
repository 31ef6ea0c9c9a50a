"""Takes the mean drop of the class as shares of the most relevant regions are removed."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.erasure.share_drop import ShareDrop
from heatproof.evaluators.metrics.faithfulness.perturbation import Walk
from heatproof.evaluators.metrics.functions.curves import Counts, PerturbationCurve
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Comprehensiveness(ShareDrop):
    """Takes the mean drop of the class as shares of the most relevant regions are removed.

    `mean over shares t of s(x) - s(x without the first t)`: does the class
    hang on what the map names?
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="comprehensiveness",
        reference="DeYoung et al. 2020, arXiv 1911.03429",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    goes_over: ClassVar[str] = "share of cells hidden"

    def trace(self, walk: Walk, counts: Counts) -> Procedure[PerturbationCurve]:
        """Without the most relevant regions."""
        return walk.removing(counts)
