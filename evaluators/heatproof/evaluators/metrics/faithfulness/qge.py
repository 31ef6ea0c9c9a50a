"""Quality gap estimate: how much better a map is than its inverse, by another metric."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.images.inventory import Inventory
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.subset_fidelity.faithfulness_correlation import (
    FaithfulnessCorrelation,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Undefined
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, together
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

_OF_ONE_MAP: Final = frozenset(
    {Reads.ATTRIBUTION, Reads.REMOVAL, Reads.OBJECTS, Reads.BOXES, Reads.LABEL}
)
"""What a metric may read that scores a map, whoever made it."""


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Qge(Metric):
    """Takes the score of a map by another metric less that of its inverse, `psi(A) - psi(-A)`.

    The inverse stands for the maps that might be there instead: a large gap says that the map is
    better than most. Of a metric whose lower scores are better the gap is turned over, so that
    higher is better always.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="qge",
        reference="Eiras-Franco et al. 2025, arXiv 2502.15403",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    of: Metric = parameter(FaithfulnessCorrelation(), "The metric by which maps are scored.")

    def __post_init__(self) -> None:
        if fault := _fault(self.of):
            raise InvalidArgumentError(
                f"{self.name} scores a map and its inverse by one metric, and {self.of.name} "
                f"{fault}: choose another one, such as faithfulness_correlation or srg",
                field="of",
            )

    @property
    def reads(self) -> tuple[Reads, ...]:
        """What the other metric reads."""
        return self.of.reads

    @property
    def removal_draws(self) -> int:
        """As the other metric."""
        return self.of.removal_draws

    @property
    def reduction(self) -> Reduction:
        """The mean of the gaps, with the gaps between the other metric's own atoms."""
        scores = self.of.reduction
        width = scores.range.width
        gaps = sorted({one - other for one, other in product(scores.atoms, repeat=2)})
        return Mean(_gaps(width), tuple(gaps))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both scores, as the other metric's."""
        return {"quality": self.of.reduction, "inverse_quality": self.of.reduction}

    @property
    def comparison_caution(self) -> str:
        """As the other metric's."""
        return self.of.comparison_caution

    @property
    def echoed(self) -> Metric:
        """With what the other metric echoes."""
        return replace(self, of=self.of.echoed)

    def resolved(self, inventory: Inventory) -> Metric:
        """With the other metric's parameters decided."""
        return replace(self, of=self.of.resolved(inventory))

    def leaves_open(self, other: Metric) -> bool:
        """Whether the other metric does."""
        return isinstance(other, Qge) and self.of.leaves_open(other.of)

    def require_comparable(self) -> None:
        """Refuses what the other metric refuses."""
        with placed(f"of.{self.of.name}"):
            self.of.require_comparable()

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """Those of the other metric."""
        return self.of.passes(model)

    def check(self, case: Case) -> None:
        """Refuses what the other metric refuses."""
        with placed(f"of.{self.of.name}"):
            self.of.check(case)

    def cost(self, case: Case) -> Cost:
        """The other metric twice, at most: equal queries of both are asked once."""
        own = self.of.cost(case)
        return Cost(2 * own.views, 2 * own.gradients, 2 * own.explanations)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`psi(A) - psi(-A)`, or its negative."""
        maps = (case.map, -case.map)
        found = yield from together(self.of.score(_with(case, made)) for made in maps)
        quality, inverse = (outcome.score for outcome in found)
        parts = {"quality": quality, "inverse_quality": inverse}
        if isinstance(quality, Undefined):
            return Outcome(quality, parts)
        if isinstance(inverse, Undefined):
            detail = f"of the inverse of the map: {inverse.detail}"
            return Outcome(Undefined(inverse.reason, detail), parts)
        sign = 1.0 if self.of.direction is Direction.HIGHER_IS_BETTER else -1.0
        return Outcome(sign * (quality - inverse), parts)


def _fault(metric: Metric) -> str:
    """Why a metric does not score a map and its inverse; "" if it does."""
    if isinstance(metric, Qge):
        return "is such a gap itself"
    if Reads.ATTRIBUTION not in metric.reads:
        return "reads no map"
    if beyond := set(metric.reads) - _OF_ONE_MAP:
        return f"reads {min(beyond)}, which the inverse of a map has not"
    if not metric.reduction.is_mean:
        return "is no mean over images"
    if metric.direction is Direction.CLOSER_TO_ZERO:
        return "has its best score in the middle"
    return ""


def _gaps(width: float) -> Range:
    """Where the differences of scores in a range of some width lie."""
    is_finite = bool(np.isfinite(width))
    return Range(-width, width, lower_included=is_finite, upper_included=is_finite)


def _with(case: Case, made: Map) -> Case:
    return replace(case, given=replace(case.given, map=made))
