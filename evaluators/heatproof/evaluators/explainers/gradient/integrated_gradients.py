"""Integrates gradients of the class logit along the path from a baseline to the image."""

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
from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, LazyImage, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.removal import Black, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class IntegratedGradients(Explainer):
    """Integrates gradients of the class logit along the path from a baseline to the image."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="integrated_gradients",
        reference="Sundararajan et al. 2017, arXiv 1703.01365",
        category=ExplainerCategory.GRADIENT,
    )

    steps: int = parameter(32, "Points on the path.", within=Range(1, 1000))
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
        """Asks for a gradient at each point."""
        return self.steps

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`(x - x') * mean_k d z_c / d x at x' + (k - 1/2) / n (x - x')`, summed over channels."""
        image = sample.image.draw()
        baseline = baseline_of(sample, self.baseline)
        total = np.zeros(image.shape, np.float64)
        for chunk in chunks(range(self.steps)):
            answers = yield from ask([self._view(sample, baseline, point) for point in chunk])
            for answer in answers:
                total += answer.gradient
        difference = image.astype(np.float64) - baseline
        summed: Map = (difference * total / self.steps).sum(axis=0)
        return summed

    def _view(self, sample: Sample, baseline: Image, point: int) -> GradientView:
        share = np.float32((point + 0.5) / self.steps)
        # Waiting points hold no pixels: each is drawn when its batch is cut.
        key = f"{sample.image.key}/path/{self.baseline!r}/{point}/{self.steps}"
        image = LazyImage(key, lambda: baseline + share * (sample.image.draw() - baseline))
        return sample.gradient_view(image=image)
