"""Integrates gradients of the class logit along the path from a baseline to the image."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, Picture, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Need
from heatproof.evaluators.removal import Black, RemovalOperator


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
        """Refuses a baseline that does not live in pixel space."""
        if self.baseline.masking_mode:
            raise InvalidArgumentError(
                f"{self.baseline.name} hides nothing in pixel space, so it gives no baseline: "
                "choose a pixel operator such as black",
                field="baseline",
            )

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks for a gradient at each point."""
        return self.steps

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """`(x - x') * mean_k d z_c / d x at x' + (k - 1/2) / n (x - x')`, summed over channels."""
        image = scene.picture.draw()
        hidden = np.zeros(image.shape[1:], np.bool_)
        baseline = self.baseline.bind(image)(hidden)
        total = np.zeros(image.shape, np.float64)
        for chunk in chunks(range(self.steps)):
            answers = yield from ask([self._view(scene, baseline, point) for point in chunk])
            for answer in answers:
                total += answer.gradient
        difference = image.astype(np.float64) - baseline
        summed: Map = (difference * total / self.steps).sum(axis=0)
        return summed

    def _view(self, scene: Scene, baseline: Image, point: int) -> GradientView:
        share = np.float32((point + 0.5) / self.steps)
        # Waiting points hold no pixels: each is drawn when its batch is cut.
        key = f"{scene.picture.key}/path/{self.baseline!r}/{point}/{self.steps}"
        return GradientView(
            Picture(key, lambda: baseline + share * (scene.picture.draw() - baseline)),
            scene.target_weights,
        )
