"""Takes the absolute gradient of the class logit in pixel space."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, Procedure, differentiate
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.registry import Need


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Saliency:
    """Takes the absolute gradient of the class logit in pixel space."""

    name: ClassVar[str] = "saliency"
    reference: ClassVar[str] = "Simonyan et al. 2014, arXiv 1312.6034"
    needs: ClassVar[tuple[Need, ...]] = (Need.GRADIENTS,)

    def check(self, facts: PredictorFacts) -> None:
        """There is nothing to set."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """`max over channels |d z_c / d x|`."""
        view = GradientView(scene.picture, scene.target_weights)
        found = yield from differentiate(view)
        strongest: Map = np.abs(found.gradient).max(axis=0).astype(np.float64)
        return strongest
