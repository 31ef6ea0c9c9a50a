"""Takes the strength of the edges of the image: a control that is blind to the model."""

from dataclasses import dataclass
from typing import ClassVar, Final

import cv2
import numpy as np

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

_LUMINANCE: Final = (0.299, 0.587, 0.114)


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Edges(Explainer):
    """Takes the strength of the edges of the image: a control that is blind to the model."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="edges",
        reference="Adebayo et al. 2018, arXiv 1810.03292",
        category=ExplainerCategory.CONTROLS,
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """Magnitude of the Sobel gradient of the luminance, with reflected borders."""
        yield from ()
        luminance = np.tensordot(_LUMINANCE, sample.image.draw().astype(np.float64), axes=1)
        across, down = (
            cv2.Sobel(luminance, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REFLECT)
            for dx in (1, 0)
        )
        return np.hypot(across, down)
