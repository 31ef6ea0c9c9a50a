"""Deletion corrected for the model's own occlusion robustness."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.comparison.corrected_areas import (
    ORACLES,
    CorrectedAreas,
    ScoreScale,
    corrected_areas,
)
from heatproof.evaluators.metrics.comparison.random_orders import RandomOrdersMetric, random_order
from heatproof.evaluators.metrics.functions.curves import PerturbationCurve, low_confidence
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import (
    Curve,
    CurveFacts,
    CurveRole,
    Direction,
    Outcome,
    Reason,
    Score,
    Undefined,
)
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions.grid import GridCells, Order, descending, saliency_order
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, RatioOfMeans, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionCorrectedDeletion(RandomOrdersMetric):
    """Takes deletion relative to the model's random orders and its own occlusion oracle.

    `(RA - DA(map)) / (RA - DA*)` of areas under the class's probability `s`: 0 is no better than
    random, 1 as good as the better of the model's two oracle orders (the drops of single cells, and
    the mean drop of each cell along the random orders), below 0 worse than random. A data set's
    score is the ratio of the sums. Invariant to any affine change of `s`, so that models trained to
    bear occlusion compare fairly with others. Ours.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="occlusion_corrected_deletion",
        reference="Heatproof, after Won et al. 2023, arXiv 2303.14608",
        category=MetricCategory.COMPARISON,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    scale: ScoreScale = parameter(
        ScoreScale.PROBABILITY, "What the areas are under; models compare by the same one only."
    )

    @property
    def reduction(self) -> Reduction:
        """The ratio of the sums of areas."""
        return self._corrected("deletion_area")

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Areas are averaged, controls corrected as the score is."""
        areas = ("random", "deletion", "oracle", "uniform", "rolled", *ORACLES)
        parts: dict[str, Reduction] = {
            **{f"{name}_area": Mean(self.scale.range) for name in areas},
            "control_uniform": self._corrected("uniform_area"),
            "control_rolled": self._corrected("rolled_area"),
            "n_zero_coverage": Mean(NOT_NEGATIVE),
            "random_standard_error": Mean(NOT_NEGATIVE),
        }
        if self.scale is ScoreScale.PROBABILITY:
            parts["ratio"] = RatioOfMeans(
                ("random_area", "deletion_area"),
                ("random_area", ""),
                0.0,
                range=Range(-math.inf, 1, lower_included=False),
                part_range=UNIT,
            )
        return MappingProxyType(parts)

    def _corrected(self, area: str) -> Reduction:
        return RatioOfMeans(
            ("random_area", area), ("random_area", "oracle_area"), 0.0, part_range=self.scale.range
        )

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The map's curve, what it is measured between, its controls, and the map's scaled."""
        unit, scored = self.scale.unit, CurveRole.SCORED
        return {
            "deletion": CurveFacts("this map", scored, unit),
            "random": CurveFacts("random orders", CurveRole.REFERENCE, unit),
            "oracle": CurveFacts("oracle order", CurveRole.ORACLE, unit),
            "uniform": CurveFacts("one random order", CurveRole.CONTROL, unit),
            "rolled": CurveFacts("shifted map", CurveRole.CONTROL, unit),
            "normalized": CurveFacts("this map", scored, "share of the highest value"),
        }

    def cost(self, case: Case) -> Cost:
        """Random orders, map, two oracles and two controls, and each cell alone."""
        return Cost(views=(self.orders + 5) * (self.steps - 1) + self.grid * self.grid)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        sample, schedule = case.sample, self._schedule(case)
        if reason := low_confidence(sample):
            return Outcome(reason)
        own = saliency_order(schedule.regions, case.map, sample.rng("ties"))
        if isinstance(own, Undefined):
            return Outcome(own)
        controls = {
            "uniform": random_order(sample, schedule, "order/uniform"),
            "rolled": _rolled_order(case, case.grid(self.grid)),
        }
        read, own_map = self.scale.reading(sample), {"deletion": own}
        found = yield from corrected_areas(
            sample, schedule, read, orders=self.orders, maps=own_map, controls=controls
        )
        return self._outcome(found)

    def described(
        self,
        curves: Mapping[str, Curve],
        parts: Mapping[str, float],  # as the seam says
    ) -> Mapping[str, float]:
        """`normalized_deletion`: area of the mean curve, min-max scaled to [0, 1].

        Each image's curve was divided by its own maximum before. After the first author's public
        notebook of 2022, not the paper.
        """
        mean = np.array(curves["normalized"].values) if "normalized" in curves else np.zeros(1)
        lowest, highest = mean.min(), mean.max()
        if not highest > lowest:
            return {}
        scaled = (mean - lowest) / (highest - lowest)
        area = np.trapezoid(scaled, curves["normalized"].fractions)
        return {"normalized_deletion": float(area)}

    def _outcome(self, found: CorrectedAreas) -> Outcome:
        areas = found.areas
        parts: dict[str, Score] = {f"{name}_area": area for name, area in areas.items()}
        if self.scale is ScoreScale.PROBABILITY:
            parts["ratio"] = _ratio(areas)
        weakness = found.weakness("deletion")
        parts["control_uniform"] = weakness or found.gain("uniform")
        parts["control_rolled"] = weakness or found.gain("rolled")
        parts["random_standard_error"] = found.random.standard_error
        parts["n_zero_coverage"] = float(found.zero_coverage)
        drawn = found.curves
        curves = {name: drawn[name].curve() for name in drawn if name not in ORACLES}
        curves |= _normalized(found.traces["deletion"])
        return Outcome(weakness or found.gain("deletion"), parts, curves)


def _rolled_order(case: Case, grid: GridCells) -> Order:
    """The order of the own map shifted cyclically by about half: it keeps its clustering."""
    rng, side = case.sample.rng("roll"), grid.side
    nearest = max(1, side // 4)
    shift = rng.integers(nearest, side - nearest, size=2, endpoint=True)
    means = grid.means(case.map).reshape(side, side)
    rolled = np.roll(means, tuple(shift.tolist()), axis=(0, 1))
    return descending(rolled.reshape(-1), case.sample.rng("ties"))


def _ratio(areas: Mapping[str, float]) -> Score:
    """`1 - DA / RA`: descriptive, for it punishes models that bear occlusion."""
    if areas["random"] <= 0:
        return Undefined(Reason.NO_PLACE_EFFECT, "the area under random orders is 0")
    return 1 - areas["deletion"] / areas["random"]


def _normalized(trace: PerturbationCurve) -> dict[str, Curve]:
    """The curve divided by its maximum; nothing where that is not positive."""
    highest = float(trace.values.max())
    return {"normalized": trace.over(highest).curve()} if highest > 0 else {}
