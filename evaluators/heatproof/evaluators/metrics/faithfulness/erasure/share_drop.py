"""The mean drop of the class where shares of the regions are removed, or shown alone."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.perturbation import Walk
from heatproof.evaluators.metrics.faithfulness.shares import SharesMetric
from heatproof.evaluators.metrics.functions.curves import Counts, PerturbationCurve, share_counts
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import CurveFacts, CurveRole, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareDrop(SharesMetric):
    """Takes the mean drop of the class at shares of the regions.

    Attributes:
        goes_over: what the shares are of, in words.
    """

    goes_over: ClassVar[str]

    shares: tuple[float, ...] = parameter(
        (0.01, 0.05, 0.1, 0.2, 0.5),
        "Shares of the regions, ascending.",
        within=Range(0, 1, lower_included=False),
    )

    @abstractmethod
    def trace(self, walk: Walk, counts: Counts) -> Procedure[PerturbationCurve]:
        """What the model says with so many of the most relevant regions removed, or shown."""

    @property
    def reduction(self) -> Reduction:
        """The mean of the drops."""
        return Mean(self.range_of(Range(-1, 1)))

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The drops whose mean is the score."""
        drop = f"drop of the {self.unit}"
        return {self.name: CurveFacts("this map", CurveRole.SCORED, drop, self.goes_over)}

    def cost(self, case: Case) -> Cost:
        """Every share."""
        return Cost(views=len(self.shares))

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`mean over the shares of y(x) - y`."""
        trace = yield from self.trace(walk, share_counts(walk.regions.cells, self.shares))
        drops = walk.clean - trace.values
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(float(drops.mean()), parts, {self.name: self.curve(drops)})
