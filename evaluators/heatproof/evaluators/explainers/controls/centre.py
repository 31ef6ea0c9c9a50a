"""Draws a Gaussian bump in the middle of the image, blind to image and model."""

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter

DEFAULT_SIGMA: Final = 0.25
"""Standard deviation of the bump as a fraction of each side."""


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Centre(Explainer):
    """Draws a Gaussian bump in the middle of the image, blind to image and model."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="centre",
        reference="Heatproof",
        category=ExplainerCategory.CONTROLS,
    )

    sigma: float = parameter(
        DEFAULT_SIGMA,
        "Standard deviation as a fraction of each side.",
        within=Range(0, 2, lower_included=False),
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Draws `exp(-(dy^2 + dx^2) / 2)` with distances in units of sigma."""
        yield from ()
        return centre_bump(sample.height, sample.width, self.sigma)


def centre_bump(height: int, width: int, sigma: float = DEFAULT_SIGMA) -> Map:
    """A Gaussian bump in the middle of an image of a size."""
    return np.outer(_bump(height, sigma), _bump(width, sigma))


def _bump(pixels: int, sigma: float) -> Float64[np.ndarray, "pixels"]:
    offsets = (np.arange(pixels) + 0.5) / pixels - 0.5
    return np.exp(-((offsets / sigma) ** 2) / 2)
