"""Takes the absolute gradient of the class logit in pixel space."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, differentiate
from heatproof.evaluators.queries.sample import Sample


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class Saliency(Explainer):
    """Takes the absolute gradient of the class logit in pixel space."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="saliency",
        reference="Simonyan et al. 2014, arXiv 1312.6034",
        category=ExplainerCategory.GRADIENT,
    )

    def check(self, model: PredictorFacts) -> None:
        """There is nothing to set."""

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image."""
        return (ModelPass(model.model, wrt=IMAGE),)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`max over channels |d z_c / d x|`."""
        found = yield from differentiate(sample.gradient_view())
        strongest: Map = np.abs(found.gradient).max(axis=0).astype(np.float64)
        return strongest
