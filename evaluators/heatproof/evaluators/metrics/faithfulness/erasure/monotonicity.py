"""Asks whether what the model says never rises as the most relevant regions are removed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.erasure.stepwise import StepwiseMetric
from heatproof.evaluators.metrics.faithfulness.perturbation import COVERAGE, Walk
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

_RISE: Final = 1e-6
"""What rises by no more does not rise: answers in single precision are as uncertain."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class Monotonicity(StepwiseMetric):
    """Asks whether the class never rises as the most relevant regions are removed.

    1 if no step raises it by more than 1e-6, else 0: adding the least relevant first never lowers
    it. The part `falling_share` is the share of the steps that do not raise it. The queries are
    those of `Deletion`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="monotonicity",
        reference="Arya et al. 2019, arXiv 1909.03012",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF

    @property
    def reduction(self) -> Reduction:
        """The share of images whose curve never rises."""
        return Proportion()

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The share of steps that do not rise, and counts."""
        return {"falling_share": Mean(UNIT), **COVERAGE}

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """`[every step rises by at most 1e-6]`; NaN where an answer is not finite."""
        trace = yield from self.course.trace(walk)
        rises = np.diff(trace.values)[np.diff(trace.fractions) > 0]
        share = float((rises <= _RISE).mean()) if np.isfinite(trace.values).all() else np.nan
        parts = {"falling_share": share, "n_zero_coverage": float(trace.zero_coverage)}
        curve = self.course.curve(trace, is_fixed=self.regions.is_fixed)
        score = share if np.isnan(share) else float(share == 1)
        return Outcome(score, parts, {self.name: curve})
