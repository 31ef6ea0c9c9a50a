"""Sensitivity-n: whether attributions add up to the effect of removing regions together."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    RegionSubsets,
)
from heatproof.evaluators.metrics.functions.correlations import pearson
from heatproof.evaluators.metrics.functions.subsets import (
    Output,
    Subset,
    correlated,
    fixed_size,
    size_of,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Curve, Direction, Outcome, Undefined
from heatproof.evaluators.regions import Regions
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityN(RegionSubsets):
    """Correlates summed attributions of random sets of regions with what their removal takes away.

    For each of several sizes, random sets `S` of that many regions: Pearson's correlation of
    `sum of A over S` and `y(x) - y(x without S)`; the score is the mean over the sizes.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="sensitivity_n",
        reference="Ancona et al. 2018, arXiv 1711.06104",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    output: Output = parameter(Output.LOGIT, "What is read of an answer.")
    sizes: tuple[float, ...] = parameter(
        (0.01, 0.05, 0.1, 0.2, 0.5, 0.8),
        "Sizes of the sets, as shares of the regions.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    subsets: int = parameter(50, "Random sets of each size.", within=Range(8, 10_000))

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input, and no size at all."""
        RegionSubsets.check(self, case)
        if not self.sizes:
            raise InvalidArgumentError("sizes is empty: name at least one", field="sizes")

    def cost(self, case: Case) -> Cost:
        """Every set once."""
        return Cost(views=len(self.sizes) * self.subsets)

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """Random sets, size by size."""
        cells = regions.cells
        return chain.from_iterable(
            fixed_size(case.sample, cells, size_of(size, cells), self.subsets)
            for size in self.sizes
        )

    def measure(self, evidence: Evidence) -> Outcome:
        """Mean over sizes of `pearson(sum of A over S, y(x) - y(x without S))`."""
        attributions = evidence.attributions.reshape(len(self.sizes), -1)
        drops = evidence.drops.reshape(len(self.sizes), -1)
        found: list[float] = []
        for size, own, effects in zip(self.sizes, attributions, drops, strict=True):
            score = correlated(own, effects, pearson, f"{size:.0%} of the regions")
            if isinstance(score, Undefined):
                return Outcome(score)
            found.append(score)
        curve = Curve(self.sizes, tuple(found))
        return Outcome(float(np.mean(found)), {}, {"correlation": curve})
