"""The area under a curve of what the model says, and the gap between two of them."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.faithfulness.courses import Course, Way
from heatproof.evaluators.metrics.faithfulness.perturbation import PerturbationMetric, Walk
from heatproof.evaluators.metrics.functions.curves import (
    CurveScale,
    PerturbationCurve,
    check_grid,
    low_confidence,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import CurveFacts, CurveRole, Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions import Grid, Segmentation
from heatproof.evaluators.registry.parameters import UNBOUNDED, Range, parameter
from heatproof.evaluators.statistics.reductions import Mean, Reduction

SHARES: Final = Range(0, 1, lower_included=False)
"""Of the regions, but none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveArea(PerturbationMetric):
    """Takes the area under a curve that goes over the regions in the order of the map.

    Attributes:
        way: which regions are removed or shown first.
    """

    way: ClassVar[Way]

    until: float = parameter(1.0, "Share of the regions at which the curve ends.", within=SHARES)

    @property
    @abstractmethod
    def course(self) -> Course:
        """The way over the regions."""

    @property
    def scaling(self) -> CurveScale:
        """What is done with the curve before its area is taken."""
        return CurveScale.PROBABILITY

    @property
    def reduction(self) -> Reduction:
        """The mean of the areas."""
        is_bounded = self.output is Output.PROBABILITY
        return Mean(self.scaling.range if is_bounded else UNBOUNDED)

    @property
    def curve_facts(self) -> Mapping[str, CurveFacts]:
        """The curve whose area is the score."""
        relative = self.scaling is CurveScale.RELATIVE
        unit = f"share of the clean {self.output.value}" if relative else self.unit
        return {self.name: CurveFacts("this map", CurveRole.SCORED, unit, self.way.shares)}

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit, and more steps than regions."""
        PerturbationMetric.check(self, case)
        self.check_even_steps(self.course.steps, case)

    def cost(self, case: Case) -> Cost:
        """Every point but the two ends."""
        cells = self.segmentation.most(case.model.height, case.model.width)
        return Cost(views=self.course.views(cells))

    def unfit(self, sample: Sample) -> Undefined | None:
        """What is relative to next to nothing means nothing."""
        return low_confidence(sample, self.output) if self.scaling is CurveScale.RELATIVE else None

    def follow(self, walk: Walk) -> Procedure[Outcome]:
        """The area under what the model says along the course."""
        trace = yield from self.course.trace(walk)
        if self.scaling is CurveScale.RELATIVE:
            trace = trace.over(walk.clean)
        return self.outcome(walk, trace)

    def outcome(self, walk: Walk, trace: PerturbationCurve) -> Outcome:  # some read the clean value
        """The score of a scaled curve, with its parts."""
        curve = self.course.curve(trace, is_fixed=self.segmentation.is_fixed)
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(self.course.area(trace), parts, {self.name: curve})


@dataclass(frozen=True, slots=True, kw_only=True)
class SteppedArea(CurveArea):
    """Takes the area under a curve over any regions."""

    steps: int = parameter(28, "Steps of the curve; at most the regions.", within=Range(1, 1000))

    @property
    def course(self) -> Course:
        """Over the regions in even steps."""
        return Course(self.way, self.steps, self.until)


@dataclass(frozen=True, slots=True)
class GridArea(CurveArea):
    """Takes the area under a curve over the squares of a grid, unless other regions are named."""

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(1, 4096))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    scale: CurveScale = parameter(CurveScale.PROBABILITY, "Scaling of the curve.")

    @property
    def segmentation(self) -> Segmentation:
        """The squares of `grid`, unless `regions` names others."""
        return Grid(self.grid) if self.regions == Grid() else self.regions

    @property
    def course(self) -> Course:
        """Over the cells in even steps."""
        return Course(self.way, self.steps, self.until)

    @property
    def scaling(self) -> CurveScale:
        """As the parameter says."""
        return self.scale

    def check(self, case: Case) -> None:
        """Refuses a grid finer than the pixels, more steps than cells, and two kinds of cells."""
        if self.regions == Grid():
            check_grid(case.grid(self.grid), self.steps)
            return
        if self.grid != Grid().side:
            raise InvalidArgumentError(
                f"grid is {self.grid}, and regions are {self.regions.name}: name one of them",
                field="grid",
            )
        CurveArea.check(self, case)
