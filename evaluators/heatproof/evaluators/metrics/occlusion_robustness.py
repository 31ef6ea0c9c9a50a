"""Takes the mean area under relative deletion curves in random orders."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.metrics.metric import METRICS, Case, Setting
from heatproof.evaluators.outcomes import (
    Direction,
    Estimator,
    MeanEstimator,
    Outcome,
)
from heatproof.evaluators.procedure import Procedure


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionRobustness:
    """Takes the mean area under relative deletion curves in random orders."""

    name: ClassVar[str] = "occlusion_robustness"
    reference: ClassVar[str] = "Heatproof, after Won et al. 2023, arXiv 2303.14608"
    needs: ClassVar[tuple[Need, ...]] = (Need.REMOVAL,)
    category: ClassVar[str] = "occlusion"
    direction: ClassVar[Direction] = Direction.HIGHER_IS_BETTER
    estimator: ClassVar[Estimator] = MeanEstimator()
    part_estimators: ClassVar[Mapping[str, Estimator]] = MappingProxyType({})

    grid: int = parameter(14, "Cells along each side of the image.", within=Range(2, 64))
    steps: int = parameter(28, "Steps of the curve; at most the cells.", within=Range(1, 1000))
    orders: int = parameter(10, "Number of random orders.", within=Range(10, 1000))

    def check(self, setting: Setting) -> None:
        """Every combination is sound."""

    def predictions(self, setting: Setting) -> int:
        """Asks nothing."""
        return 0

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        raise NotImplementedError
