"""Single deletion: whether attributions rank cells by what the removal of each takes away."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant, spearman
from heatproof.evaluators.metrics.functions.subsets import (
    Output,
    correlated,
    effects_of,
    singles,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.regions.grid import comparable
from heatproof.evaluators.regions.segmentation import MIN_MASKED_CELL, check_segmentation
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class SingleDeletionCorrelation(Metric):
    """Correlates the ranks of the cells by attribution and by what the removal of each takes away.

    Spearman's correlation, over the cells, of the mean of A in a cell and the fall of the target's
    logit when that cell alone is removed. After Hesse et al. 2024 (arXiv 2407.11910) without the
    fine-tuning of the model that their IDSDS asks for.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="single_deletion_correlation",
        reference="Heatproof, after Hesse et al. 2024, arXiv 2407.11910",
        category=MetricCategory.COMPARISON,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    regions: Segmentation = parameter(Grid(), "What is removed at a time.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the correlations."""
        return Mean(Range(-1, 1))

    @property
    def part_reductions(self) -> dict[str, Reduction]:
        """Counts of cells without which the model saw nothing."""
        return {"n_zero_coverage": Mean(NOT_NEGATIVE)}

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, or that the operator cannot hide alone."""
        height, width = case.model.height, case.model.width
        check_segmentation(self.regions, height, width, hidden_by=case.removal)

    def cost(self, case: Case) -> Cost:
        """Every region once."""
        return Cost(views=self.regions.most(case.model.height, case.model.width))

    def score(self, case: Case) -> Procedure[Outcome]:
        """`spearman(mean of A in each cell, z(x) - z(x without the cell))`."""
        sample = case.sample
        regions = sample.regions(self.regions)
        means = regions.means(case.map)
        reason = _unscorable(case, regions, is_flat=is_constant(means))
        if reason is not None:
            return Outcome(reason)
        cells, read = singles(regions.cells), Output.LOGIT.reading(sample)
        found = yield from effects_of(cells, sample, regions, case.removal, read)
        score = correlated(comparable(means), found.drops, spearman, "single cells")
        return Outcome(score, {"n_zero_coverage": float(found.zero_coverage)})


def _unscorable(case: Case, regions: Regions, *, is_flat: bool) -> Undefined | None:
    if is_flat:
        return Undefined(Reason.DEGENERATE, "all cells have the same mean attribution")
    if case.removal.masking is not None and regions.mean_side < MIN_MASKED_CELL:
        detail = (
            f"the image has {regions.cells} regions of {regions.mean_side:.0f} pixels a side on "
            f"average, which vanish inside the network with {case.removal.name}"
        )
        return Undefined(Reason.NO_PLACE_EFFECT, detail)
    return None
