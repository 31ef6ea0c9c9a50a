"""Completeness: whether attributions add up to what removing everything takes away."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.metrics.metric import METRICS, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction

_LEAST_DIFFERENCE: Final = 1e-3
"""Removing everything takes away nothing where it changes the output by less."""


@METRICS.register
@dataclass(frozen=True, slots=True)
class Completeness(Metric):
    """Asks how far attributions are from adding up to what removing everything takes away.

    `|sum A - D| / |D|` with `D = y(x) - y(x with everything removed)`. Only explainers that promise
    it for the same baseline and output can have it: a property of a formula, not of a model.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="completeness",
        reference="Sundararajan et al. 2017, arXiv 1703.01365",
        category=MetricCategory.AXIOMS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    output: Output = parameter(Output.LOGIT, "What is read of an answer.")
    tolerance: float = parameter(
        0.05, "Largest score at which attributions count as complete.", within=UNIT
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the relative gaps."""
        return Mean(NOT_NEGATIVE)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The gap itself, the share of complete images, and counts."""
        return {"gap": Mean(), "complete": Proportion(), "n_zero_coverage": Mean(NOT_NEGATIVE)}

    def score(self, case: Case) -> Procedure[Outcome]:
        """`|sum A - D| / |D|`."""
        sample, read = case.sample, self.output.reading(case.sample)
        if case.map.min() == case.map.max():
            return Outcome(Undefined(Reason.DEGENERATE, "the map is constant"))
        hidden = np.zeros(case.map.shape, np.bool_)
        empty = yield from predict(sample.view(hidden, case.removal))
        uncovered = {"n_zero_coverage": float(empty.coverage == 0)}
        difference = read(sample.clean) - read(empty)
        gap = float(case.map.sum()) - difference
        if abs(difference) < _LEAST_DIFFERENCE:
            detail = f"removing everything changes the {self.output.value} by {difference:.2g} only"
            return Outcome(Undefined(Reason.NO_PLACE_EFFECT, detail), {"gap": gap, **uncovered})
        score = abs(gap / difference)
        complete = score if np.isnan(score) else float(score <= self.tolerance)
        return Outcome(score, {"gap": gap, "complete": complete, **uncovered})
