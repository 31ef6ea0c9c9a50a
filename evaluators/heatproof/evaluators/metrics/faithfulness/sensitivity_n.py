"""Sensitivity-n: whether attributions add up to the effect of removing cells together."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant, pearson
from heatproof.evaluators.metrics.functions.subsets import (
    Output,
    Subset,
    correlated,
    effects_of,
    fixed_size,
    masses,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Curve, Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class SensitivityN(Metric):
    """Correlates summed attributions of random sets of cells with what their removal takes away.

    For each of several sizes, random sets `S` of that many cells: Pearson's correlation of
    `sum of A over S` and `y(x) - y(x without S)`; the score is the mean over the sizes.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="sensitivity_n",
        reference="Ancona et al. 2018, arXiv 1711.06104",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 4096))
    sizes: tuple[float, ...] = parameter(
        (0.01, 0.05, 0.1, 0.2, 0.5, 0.8),
        "Sizes of the sets, as shares of the cells.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    subsets: int = parameter(50, "Random sets of each size.", within=Range(8, 10_000))
    output: Output = parameter(Output.LOGIT, "What is read of an answer.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the correlations."""
        return Mean(Range(-1, 1))

    def check(self, case: Case) -> None:
        """Refuses a grid finer than the pixels, and no size at all."""
        case.grid(self.grid).check()
        if not self.sizes:
            raise InvalidArgumentError("sizes is empty: name at least one", field="sizes")

    def cost(self, case: Case) -> Cost:
        """Every set once."""
        return Cost(views=len(self.sizes) * self.subsets)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Mean over sizes of `corr(sum of A over S, y(x) - y(x without S))`."""
        grid, read = case.grid(self.grid), self.output.reading(case.sample)
        effects = grid.sums(case.map)
        if is_constant(effects):
            return Outcome(Undefined(Reason.DEGENERATE, "all cells have the same attribution"))
        found: list[float] = []
        for size in self.sizes:
            sets = list(self._sets(case.sample, grid.cells, size))
            removed = yield from effects_of(sets, case.sample, grid, case.removal, read)
            subject = f"{size:.0%} of the cells"
            score = correlated(masses(sets, effects), removed.drops, pearson, subject)
            if isinstance(score, Undefined):
                return Outcome(score)
            found.append(score)
        curve = Curve(self.sizes, tuple(found))
        return Outcome(float(np.mean(found)), {}, {"correlation": curve})

    def _sets(self, sample: Sample, cells: int, size: float) -> Iterator[Subset]:
        return fixed_size(sample, cells, max(1, round(size * cells)), self.subsets)
