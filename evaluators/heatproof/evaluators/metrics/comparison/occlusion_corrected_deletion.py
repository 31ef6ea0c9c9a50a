"""Deletion corrected for the model's own occlusion robustness."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.comparison.random_orders import (
    RandomCurves,
    check_cells,
    random_curves,
    random_order,
)
from heatproof.evaluators.metrics.functions.curves import (
    PerturbationCurve,
    Schedule,
    deletion_curve,
    low_confidence,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
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
from heatproof.evaluators.queries.procedure import Procedure, Readout, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import Order, descending, saliency_order
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNBOUNDED, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, RatioOfMeans, Reduction

MIN_PLACE_EFFECT: Final = 0.01
"""Smallest effect of the place, as a share of what removing everything does."""

MIN_STANDARD_ERRORS: Final = 3
"""Smallest effect of the place in standard errors of RA over the random orders."""

_ROUNDING: Final = 2.0**-20
"""What answers in single precision are uncertain by, as a share of the score."""

_ORACLES: Final = ("single_drop", "marginal_drop")


class ScoreScale(StrEnum):
    """What is read of an answer to a partly removed image."""

    PROBABILITY = "probability"
    LOGIT_MARGIN = "logit_margin"

    def reading(self, sample: Sample) -> Readout:
        """Reads an answer about the sample's target."""
        return sample.probability if self is ScoreScale.PROBABILITY else sample.margin

    @property
    def unit(self) -> str:
        """What the values of a curve are."""
        is_plain = self is ScoreScale.PROBABILITY
        return "class probability" if is_plain else "logit less the highest other"

    @property
    def range(self) -> Range:
        """Where areas lie."""
        return UNIT if self is ScoreScale.PROBABILITY else UNBOUNDED


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionCorrectedDeletion(Metric):
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

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 64))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    orders: int = parameter(10, "Number of random orders.", within=Range(10, 1000))
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
        areas = ("random", "deletion", "oracle", "uniform", "rolled", *_ORACLES)
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

    def check(self, case: Case) -> None:
        """Refuses cells that are too small and more steps than cells."""
        check_cells(self._schedule(case))

    def cost(self, case: Case) -> Cost:
        """Random orders, map, two oracles and two controls, and each cell alone."""
        return Cost(views=(self.orders + 5) * (self.steps - 1) + self.grid * self.grid)

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        sample, schedule = case.sample, self._schedule(case)
        if reason := low_confidence(sample):
            return Outcome(reason)
        own = saliency_order(schedule.grid, case.map, sample.rng("ties"))
        if isinstance(own, Undefined):
            return Outcome(own)
        read = self.scale.reading(sample)
        random = yield from random_curves(sample, schedule, self.orders, read)
        orders = {
            "deletion": own,
            "single_drop": (yield from single_drop_order(sample, schedule, read)),
            "marginal_drop": descending(random.marginal_drops, sample.rng("ties")),
            "uniform": random_order(sample, schedule, "order/uniform"),
            "rolled": _rolled_order(case, schedule),
        }
        traces = {}
        for name, order in orders.items():
            traces[name] = yield from deletion_curve(sample, schedule, order, read)
        return self._outcome(random, traces)

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

    def _schedule(self, case: Case) -> Schedule:
        return Schedule(case.grid(self.grid), self.steps, case.removal)

    def _outcome(self, random: RandomCurves, traces: Mapping[str, PerturbationCurve]) -> Outcome:
        oracle = min((traces[name] for name in _ORACLES), key=lambda trace: trace.area)
        found = {"random": random.mean, "oracle": oracle, **traces}
        areas = {name: trace.area for name, trace in found.items()}
        parts: dict[str, Score] = {f"{name}_area": area for name, area in areas.items()}
        if self.scale is ScoreScale.PROBABILITY:
            parts["ratio"] = _ratio(areas)
        weakness = _weakness(random, areas)
        parts["control_uniform"] = weakness or _corrected(areas, "uniform")
        parts["control_rolled"] = weakness or _corrected(areas, "rolled")
        parts["random_standard_error"] = random.standard_error
        zero_coverage = sum(trace.zero_coverage for trace in (random.mean, *traces.values()))
        parts["n_zero_coverage"] = float(zero_coverage)
        curves = {name: found[name].curve() for name in found if name not in _ORACLES}
        curves |= _normalized(traces["deletion"])
        return Outcome(weakness or _corrected(areas, "deletion"), parts, curves)


def single_drop_order(sample: Sample, schedule: Schedule, read: Readout) -> Procedure[Order]:
    """The order of the drops of the score when one cell alone is removed."""
    cells = np.arange(schedule.grid.cells)
    views = (sample.view(schedule.grid.spread(cells != cell), schedule.removal) for cell in cells)
    found = yield from respond(views, read)
    return descending(read(sample.clean) - found.values, sample.rng("ties"))


def _rolled_order(case: Case, schedule: Schedule) -> Order:
    """The order of the own map shifted cyclically by about half: it keeps its clustering."""
    rng, side = case.sample.rng("roll"), schedule.grid.side
    nearest = max(1, side // 4)
    shift = rng.integers(nearest, side - nearest, size=2, endpoint=True)
    means = schedule.grid.means(case.map).reshape(side, side)
    rolled = np.roll(means, tuple(shift.tolist()), axis=(0, 1))
    return descending(rolled.reshape(-1), case.sample.rng("ties"))


def _corrected(areas: Mapping[str, float], name: str) -> float:
    return (areas["random"] - areas[name]) / (areas["random"] - areas["oracle"])


def _weakness(random: RandomCurves, areas: Mapping[str, float]) -> Undefined | None:
    """Why there is nothing to divide by: the oracle beats random orders by no more than chance."""
    full, empty = float(random.mean.values[0]), float(random.mean.values[-1])
    effect = areas["random"] - areas["oracle"]
    noise = max(MIN_STANDARD_ERRORS * random.standard_error, _ROUNDING * max(abs(full), abs(empty)))
    least = max(MIN_PLACE_EFFECT * abs(full - empty), noise)
    if effect > least or math.isnan(effect):
        return None
    beaten = f"beats random orders by {effect:.2g} only, which is no more than {least:.2g}"
    by_map = areas["random"] - areas["deletion"]
    if by_map > noise:
        return Undefined(
            Reason.WEAK_ORACLE,
            f"the model's better oracle {beaten}, although the map beats them by {by_map:.2g}: "
            "draw more random orders",
        )
    return Undefined(
        Reason.NO_PLACE_EFFECT,
        f"the model's better oracle {beaten}, so it does not matter what is removed",
    )


def _ratio(areas: Mapping[str, float]) -> Score:
    """`1 - DA / RA`: descriptive, for it punishes models that bear occlusion."""
    if areas["random"] <= 0:
        return Undefined(Reason.NO_PLACE_EFFECT, "the area under random orders is 0")
    return 1 - areas["deletion"] / areas["random"]


def _normalized(trace: PerturbationCurve) -> dict[str, Curve]:
    """The curve divided by its maximum; nothing where that is not positive."""
    highest = float(trace.values.max())
    return {"normalized": trace.over(highest).curve()} if highest > 0 else {}
