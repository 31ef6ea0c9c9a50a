"""Takes the absolute gradient of the class logit in pixel space."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.arrays import Map
from heatproof.evaluators.catalogue import Need
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.scene import Scene


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Saliency:
    """Takes the absolute gradient of the class logit in pixel space."""

    name: ClassVar[str] = "saliency"
    reference: ClassVar[str] = "Simonyan et al. 2014, arXiv 1312.6034"
    needs: ClassVar[tuple[Need, ...]] = (Need.GRADIENTS,)

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
