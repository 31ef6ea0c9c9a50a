"""Draws a Gaussian bump in the middle of the image, blind to image and model."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.explainers.explainer import EXPLAINERS
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Scene
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Need


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
        """Every width is sound."""

    def predictions(self, facts: PredictorFacts) -> int:
        """Asks nothing."""
        return 0

    def explain(self, scene: Scene) -> Procedure[Map | Undefined]:
        """Draws `exp(-(dy^2 + dx^2) / 2)` with distances in units of sigma."""
        yield from ()
        rows = _bump(scene.height, self.sigma)
        return np.outer(rows, _bump(scene.width, self.sigma))


def _bump(pixels: int, sigma: float) -> Float64[np.ndarray, "pixels"]:
    offsets = (np.arange(pixels) + 0.5) / pixels - 0.5
    return np.exp(-((offsets / sigma) ** 2) / 2)
