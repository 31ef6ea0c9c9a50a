"""Takes what the class loses of its probability as the most relevant segments are removed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from heatproof.evaluators.metrics.faithfulness.courses import ONE_BY_ONE, Way
from heatproof.evaluators.metrics.faithfulness.perturbation import COVERAGE, Walk
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import SteppedArea
from heatproof.evaluators.metrics.functions.curves import CurveScale, PerturbationCurve
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.regions import Segmentation, Slic
from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, RatioOfMeans, Reduction

_AT_MOST_ALL: Final = Range(-math.inf, 1, lower_included=False)


@METRICS.register
@dataclass(frozen=True, slots=True)
class Irof(SteppedArea):
    """Takes what the class loses of its probability as the most relevant segments are removed.

    The iterative removal of features: one less the area under `s / s(x)`, one segment a step. A
    data set's score is the ratio of the means, `(sum s(x) - sum area) / sum s(x)`; the published
    mean of the images' ratios is the part `mean_of_ratios`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="irof",
        reference="Rieger and Hansen 2020, arXiv 2003.08747",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF

    regions: Segmentation = parameter(Slic(), "What is removed at a time.")
    steps: int = parameter(
        ONE_BY_ONE, "Steps of the curve; 0 removes one region a step.", within=Range(0, 4096)
    )

    @property
    def scaling(self) -> CurveScale:
        """Relative to the clean image."""
        return CurveScale.RELATIVE

    @property
    def reduction(self) -> Reduction:
        """The ratio of the means."""
        lost, whole, parts = ("clean", "area"), ("clean", ""), self.range_of(UNIT)
        return RatioOfMeans(lost, whole, 0.0, range=self._range, part_range=parts)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """What the ratio is made of, and the mean of the images' own."""
        parts = Mean(self.range_of(UNIT))
        return {"clean": parts, "area": parts, "mean_of_ratios": Mean(self._range), **COVERAGE}

    @property
    def _range(self) -> Range:
        return _AT_MOST_ALL if self.output is Output.PROBABILITY else UNBOUNDED

    def outcome(self, walk: Walk, trace: PerturbationCurve) -> Outcome:
        """`1 - area(s / s(x))`."""
        made = SteppedArea.outcome(self, walk, trace)
        area = self.course.area(trace)
        parts = {"clean": walk.clean, "area": area * walk.clean, "mean_of_ratios": 1 - area}
        return Outcome(1 - area, {**made.parts, **parts}, made.curves)
