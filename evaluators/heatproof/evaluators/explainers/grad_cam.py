"""Weights the channels of an activation tensor by the means of their gradients."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.arrays import Map
from heatproof.evaluators.catalogue import Need, parameter
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.scene import Scene


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradCam:
    """Weights the channels of an activation tensor by the means of their gradients."""

    name: ClassVar[str] = "grad_cam"
    reference: ClassVar[str] = "Selvaraju et al. 2017, arXiv 1610.02391"
    needs: ClassVar[tuple[Need, ...]] = (Need.GRADIENTS,)

    tensor: str = parameter(
        "", "Activation tensor; empty: the last spatial one before the global pool."
    )

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
