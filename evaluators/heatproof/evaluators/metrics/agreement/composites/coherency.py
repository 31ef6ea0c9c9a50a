"""Coherency: whether a map stays when only what it keeps of the image is left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.agreement.composites.masked_map import MaskedMap, MaskedMapMetric
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Coherency(MaskedMapMetric):
    """Correlates the map with the map of what it keeps of the image.

    `(Pearson(A(x'), A(x)) + 1) / 2`, in [0, 1]; 0 where the map of x' is constant.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="coherency",
        reference="Poppi et al. 2021, arXiv 2104.10252",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.REMOVAL),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean."""
        return Mean(UNIT)

    @property
    def terms(self) -> Sequence[str]:
        """None."""
        return ()

    def combine(self, case: Case, found: MaskedMap) -> Procedure[Outcome]:  # needs nothing else
        """The correlation."""
        yield from ()
        return Outcome(found.coherency)
