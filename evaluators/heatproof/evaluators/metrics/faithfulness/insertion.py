"""Takes the area under the class probability as the most salient cells are added."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.curves import (
    CurveScale,
    Track,
    insertion_curve,
    low_confidence,
)
from heatproof.evaluators.metrics.metric import METRICS, Case, Setting
from heatproof.evaluators.outcomes import Direction, Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions.grid import saliency_order
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Need
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class Insertion:
    """Takes the area under the class probability as the most salient cells are added."""

    name: ClassVar[str] = "insertion"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv 1806.07421"
    needs: ClassVar[tuple[Need, ...]] = (Need.EXPLAINER, Need.REMOVAL)
    category: ClassVar[str] = "faithfulness"
    direction: ClassVar[Direction] = Direction.HIGHER_IS_BETTER

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(1, 4096))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    scale: CurveScale = parameter(CurveScale.PROBABILITY, "Scaling of the curve.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the areas."""
        return Mean(self.scale.range)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Counts of points without coverage."""
        return {"n_zero_coverage": Mean(NOT_NEGATIVE)}

    def check(self, setting: Setting) -> None:
        """Refuses a grid finer than the pixels and more steps than cells."""
        self._track(setting).check()

    def predictions(self, setting: Setting) -> int:
        """Every point but the two ends."""
        return self.steps - 1

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        scene, track = case.scene, self._track(case.setting)
        if self.scale is CurveScale.RELATIVE and (reason := low_confidence(scene)):
            return Outcome(reason)
        order = saliency_order(track.grid, case.map, scene.rng("ties"))
        if isinstance(order, Undefined):
            return Outcome(order)
        trace = yield from insertion_curve(scene, track, order)
        if self.scale is CurveScale.RELATIVE:
            trace = trace.over(scene.confidence)
        parts = {"n_zero_coverage": float(trace.zero_coverage)}
        return Outcome(trace.area, parts, {"insertion": trace.curve()})

    def _track(self, setting: Setting) -> Track:
        return setting.track(self.grid, self.steps)
