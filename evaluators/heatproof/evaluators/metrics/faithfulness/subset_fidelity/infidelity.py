"""Infidelity: how far attributions are from the effects of removing squares."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    COUNTS,
    Evidence,
    SubsetFidelity,
)
from heatproof.evaluators.metrics.functions.subsets import (
    LEAST_EFFECT,
    Output,
    Subset,
    squares,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid, Regions, Segmentation
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Infidelity(SubsetFidelity):
    """Takes the share of the effects of removing random squares that a multiple of the map misses.

    `mean (beta a - d)^2 / mean d^2` of summed attributions a and effects d with the best multiple
    `beta = <a, d> / <a, a>`; in [0, 1]. The part `raw` is `mean (a - d)^2`, in the map's unit.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="infidelity",
        reference="Yeh et al. 2019, arXiv 1901.09392",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    output: Output = parameter(Output.LOGIT, "What is read of an answer.")
    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 4096))
    subsets: int = parameter(100, "Random squares.", within=Range(8, 10_000))

    @property
    def segmentation(self) -> Segmentation:
        """Cells of a grid, of which squares are made."""
        return Grid(self.grid)

    @property
    def reduction(self) -> Reduction:
        """The mean of the normalized errors."""
        return Mean(UNIT)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """The multiple and the error without it, which depend on the unit of the map."""
        return {**COUNTS, "beta": Mean(), "raw": Mean(NOT_NEGATIVE)}

    def check(self, case: Case) -> None:
        """Refuses cells smaller than a pixel."""
        case.grid(self.grid).check()

    def cost(self, case: Case) -> Cost:
        """Every square once."""
        return Cost(views=self.subsets)

    def unfit(self, case: Case, regions: Regions) -> Undefined | None:
        """Any map has an infidelity: one of zeros is 1."""
        return None

    def chosen(self, case: Case, regions: Regions) -> Iterator[Subset]:
        """Random squares of cells."""
        return squares(case.sample, self.grid, self.subsets)

    def measure(self, evidence: Evidence) -> Outcome:
        """`1 - <a, d>^2 / (<a, a> <d, d>)`, which is the normalized error of the best multiple."""
        a, d = evidence.attributions, evidence.drops
        raw = float(((a - d) ** 2).mean())
        norm, energy, common = ((one * other).sum() for one, other in ((a, a), (d, d), (a, d)))
        beta = float(common / norm) if norm > 0 else 0.0
        parts = {"beta": beta, "raw": raw}
        if np.abs(d).max() <= LEAST_EFFECT:
            detail = "removing squares of cells has no effect anywhere"
            return Outcome(Undefined(Reason.NO_PLACE_EFFECT, detail), parts)
        return Outcome(UNIT.clip(1 - beta * common / energy), parts)
