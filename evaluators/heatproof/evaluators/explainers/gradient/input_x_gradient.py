"""Multiplies the gradient of the class logit by the difference of the image from a baseline."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.baselines import baseline_of, check_baseline
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
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.removal import Black, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class InputXGradient(Explainer):
    """Multiplies the gradient of the class logit by the difference of the image from a baseline."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="input_x_gradient",
        reference="Shrikumar et al. 2016, arXiv 1605.01713",
        category=ExplainerCategory.GRADIENT,
    )

    baseline: RemovalOperator = parameter(
        Black(), "Pixel operator whose fully removed image is the baseline."
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image."""
        return (ModelPass(model.model, wrt=IMAGE),)

    def check(self, model: PredictorFacts) -> None:
        """Refuses a baseline that does not live in pixel space."""
        check_baseline(self.baseline)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`sum over channels of (x - x') d z_c / d x`."""
        found = yield from differentiate(sample.gradient_view())
        image = sample.image.draw().astype(np.float64)
        product: Map = ((image - baseline_of(sample, self.baseline)) * found.gradient).sum(axis=0)
        return product
