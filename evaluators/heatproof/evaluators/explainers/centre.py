"""Draws a Gaussian bump in the middle of the image, blind to image and model."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.arrays import Map
from heatproof.evaluators.catalogue import Need, Range, parameter
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.predictor import PredictorFacts
from heatproof.evaluators.procedure import Procedure
from heatproof.evaluators.scene import Scene


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Centre:
    """Draws a Gaussian bump in the middle of the image, blind to image and model."""

    name: ClassVar[str] = "centre"
    reference: ClassVar[str] = "Heatproof"
    needs: ClassVar[tuple[Need, ...]] = ()

    sigma: float = parameter(
        0.25,
        "Standard deviation as a fraction of each side.",
        within=Range(0, 2, lower_included=False),
    )

    def check(self, facts: PredictorFacts) -> None:
        """Every combination is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Makes the map."""
        raise NotImplementedError
