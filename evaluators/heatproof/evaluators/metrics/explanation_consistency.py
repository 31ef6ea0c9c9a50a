"""Compares the map with the map after an adversarial attack on the background alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar

from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.metrics.metric import METRICS, Case, Setting
from heatproof.evaluators.outcomes import (
    Direction,
    Estimator,
    MeanEstimator,
    Outcome,
    ProportionEstimator,
)
from heatproof.evaluators.procedure import Procedure


class Distance(StrEnum):
    """Distances between maps."""

    MEAN_ABSOLUTE = "mean_absolute"
    COSINE = "cosine"
    SSIM = "ssim"
    PEARSON = "pearson"


@METRICS.register
@dataclass(frozen=True, slots=True)
class ExplanationConsistency:
    """Compares the map with the map after an adversarial attack on the background alone."""

    name: ClassVar[str] = "explanation_consistency"
    reference: ClassVar[str] = "Heatproof, after Wu et al. 2024, arXiv 2408.04600"
    needs: ClassVar[tuple[Need, ...]] = (Need.EXPLAINER, Need.GRADIENTS)
    category: ClassVar[str] = "robustness"
    direction: ClassVar[Direction] = Direction.HIGHER_IS_BETTER
    estimator: ClassVar[Estimator] = MeanEstimator()
    part_estimators: ClassVar[Mapping[str, Estimator]] = MappingProxyType(
        {"flipped": ProportionEstimator()}
    )

    threshold: float = parameter(
        0.2,
        "Background: where the map, scaled to [0, 1], is below this.",
        within=Range(0, 1, lower_included=False, upper_included=False),
    )
    epsilon: float = parameter(8 / 255, "Largest change of a pixel in [0, 1].", within=Range(0, 1))
    steps: int = parameter(1, "Gradient steps; 1 is FGSM, more is PGD.", within=Range(1, 100))
    distance: Distance = parameter(Distance.MEAN_ABSOLUTE, "Distance between maps.")
    controls: int = parameter(3, "Number of random-sign controls.", within=Range(1, 100))

    def check(self, setting: Setting) -> None:
        """Every combination is sound."""

    def predictions(self, setting: Setting) -> int:
        """Asks nothing."""
        return 0

    def score(self, case: Case) -> Procedure[Outcome]:
        """Scores one image."""
        raise NotImplementedError
