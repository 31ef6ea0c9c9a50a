"""Takes the mean drop of the class as the most relevant regions are removed one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.perturbation import PerturbationMetric, Walk
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Curve, CurveFacts, CurveRole, Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions import Patches, Segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class RegionPerturbation(PerturbationMetric):
    """Takes the mean drop of the class as the most relevant regions are removed one by one.

    The area over the perturbation curve (AOPC): the mean of `s(x) - s(x without the first k
    regions)` over k = 0..cells. An image with fewer regions stays empty for the rest.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="region_perturbation",
        reference="Samek et al. 2017, arXiv 1509.06321",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    regions: Segmentation = parameter(Patches(), "What is removed at a time.")
    cells: int = parameter(100, "Regions that are removed, one a step.", within=Range(1, 4096))

    @property
    def reduction(self) -> Reduction:
        """The mean of the drops."""
        return Mean(self.range_of(Range(-1, 1)))

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose mean is the score."""
        shares = f"share of the first {self.cells} regions hidden"
        drop = f"drop of the {self.unit}"
        return {self.name: CurveFacts("this map", CurveRole.SCORED, drop, shares)}

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and more of them than there are."""
        PerturbationMetric.check(self, case)
        most = self.regions.most(case.model.height, case.model.width)
        if self.cells > most:
            raise InvalidArgumentError(
                f"cells is {self.cells}, but the input has {most} regions at most: remove fewer, "
                "or choose smaller ones",
                field="cells",
            )

    def cost(self, case: Case) -> Cost:
        """Every region that is removed."""
        return Cost(views=self.cells)

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`mean over k = 0..cells of y(x) - y(x without the first k regions)`."""
        removed = np.arange(self.cells + 1)
        trace = yield from walk.removing(np.minimum(removed, walk.regions.cells))
        drops = walk.clean - trace.values
        curve = Curve(tuple((removed / self.cells).tolist()), tuple(drops.tolist()))
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(float(drops.mean()), parts, {self.name: curve})
