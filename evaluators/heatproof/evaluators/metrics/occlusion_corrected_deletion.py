"""Takes deletion relative to the model's random orders and its own occlusion oracle."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Final

from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.metrics.metric import METRICS, Case, Setting
from heatproof.evaluators.outcomes import (
    Direction,
    Estimator,
    Outcome,
    RatioEstimator,
)
from heatproof.evaluators.procedure import Procedure

MIN_PLACE_EFFECT: Final = 0.01
"""Smallest `RA - DA*` that counts as an effect of the place."""


def _corrected(area: str) -> RatioEstimator:
    return RatioEstimator(("random_area", area), ("random_area", "oracle_area"), MIN_PLACE_EFFECT)


@METRICS.register
@dataclass(frozen=True, slots=True)
class OcclusionCorrectedDeletion:
    """Takes deletion relative to the model's random orders and its own occlusion oracle."""

    name: ClassVar[str] = "occlusion_corrected_deletion"
    reference: ClassVar[str] = "Heatproof, after Won et al. 2023, arXiv 2303.14608"
    needs: ClassVar[tuple[Need, ...]] = (Need.EXPLAINER, Need.REMOVAL)
    category: ClassVar[str] = "faithfulness"
    direction: ClassVar[Direction] = Direction.HIGHER_IS_BETTER
    estimator: ClassVar[Estimator] = _corrected("deletion_area")
    part_estimators: ClassVar[Mapping[str, Estimator]] = MappingProxyType(
        {
            "ratio": RatioEstimator(("random_area", "deletion_area"), ("random_area", ""), 1e-3),
            "control_uniform": _corrected("uniform_area"),
            "control_rolled": _corrected("rolled_area"),
        }
    )

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
