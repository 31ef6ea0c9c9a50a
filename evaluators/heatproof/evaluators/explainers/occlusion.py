"""Slides a patch over the image and averages the drops of the class probability."""

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
class Occlusion:
    """Slides a patch over the image and averages the drops of the class probability."""

    name: ClassVar[str] = "occlusion"
    reference: ClassVar[str] = "Zeiler and Fergus 2014, arXiv 1311.2901"
    needs: ClassVar[tuple[Need, ...]] = ()

    patch: int = parameter(32, "Side of the patch in pixels.", within=Range(1, 1024))
    stride: int = parameter(16, "Step between patches in pixels.", within=Range(1, 1024))
    removal: RemovalOperator = parameter(Black(), "How patches are hidden.")

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
