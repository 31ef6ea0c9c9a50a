"""Integrates gradients of the class logit along the path from a baseline to the image."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.arrays import Map
from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.removal import Black, RemovalOperator
from heatproof.evaluators.scene import Scene


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class IntegratedGradients:
    """Integrates gradients of the class logit along the path from a baseline to the image."""

    name: ClassVar[str] = "integrated_gradients"
    reference: ClassVar[str] = "Sundararajan et al. 2017, arXiv 1703.01365"
    needs: ClassVar[tuple[Need, ...]] = (Need.GRADIENTS,)

    steps: int = parameter(32, "Points on the path.", within=Range(1, 1000))
    baseline: RemovalOperator = parameter(
        Black(), "Pixel operator whose fully removed image is the baseline."
    )

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
