"""Averages gradients of the class logit at random points between the image and other images."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.baselines import check_baseline
from heatproof.evaluators.explainers.explainer import (
    EXPLAINERS,
    Explainer,
    ExplainerCategory,
    ExplainerFacts,
)
from heatproof.evaluators.explainers.gradient.noisy_gradients import with_noise
from heatproof.evaluators.images.arrays import Image, Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, LazyImage, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Donor, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class GradientShap(Explainer):
    """Averages gradients of the class logit at random points between the image and baselines."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="gradient_shap",
        reference="Erion et al. 2021, arXiv 1906.10670",
        category=ExplainerCategory.GRADIENT,
        reads=(Reads.DONORS,),
    )

    samples: int = parameter(25, "Random points, each with a baseline.", within=Range(1, 1000))
    baseline: RemovalOperator = parameter(
        Donor(), "Pixel operator whose fully removed image is the baseline; donors differ by point."
    )
    noise: float = parameter(
        0.0,
        "Standard deviation of noise on the image, over the range of its values.",
        within=UNIT,
    )

    @property
    def reads(self) -> tuple[Reads, ...]:
        """Other images, unless the baseline is none."""
        return self.baseline.reads

    @property
    def donors(self) -> int:
        """One for each point."""
        return self.samples

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image."""
        return (ModelPass(model.model, wrt=IMAGE),)

    def check(self, model: PredictorFacts) -> None:
        """Refuses a baseline that does not live in pixel space."""
        check_baseline(self.baseline)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for a gradient at each point."""
        return self.samples

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`mean_k (x - b_k) d z_c / d x at b_k + u_k (x - b_k)`, summed over channels."""
        total = np.zeros((sample.height, sample.width))
        for chunk in chunks(range(self.samples)):
            answers = yield from ask([self._view(sample, point) for point in chunk])
            for point, answer in zip(chunk, answers, strict=True):
                start, end = self._ends(sample, point)
                total += ((end.astype(np.float64) - start) * answer.gradient).sum(axis=0)
        return total / self.samples

    def _view(self, sample: Sample, point: int) -> GradientView:
        share = np.float32(sample.rng(f"point/{point}").random())

        def draw() -> Image:
            start, end = self._ends(sample, point)
            between: Image = start + share * (end - start)
            return between

        # Waiting points hold no pixels: each is drawn when its batch is cut.
        key = f"{sample.image.key}/between/{self.baseline!r}/{self.noise}/{point}"
        return sample.gradient_view(image=LazyImage(key, draw))

    def _ends(self, sample: Sample, point: int) -> tuple[Image, Image]:
        """Baseline and image of a point; of donors that with its number."""
        view = sample.removal_view(self.baseline)
        if Reads.DONORS in self.baseline.reads:
            view = replace(view, substitutes=view.substitutes[point:])
        start = self.baseline.bind(view)(np.zeros((sample.height, sample.width), np.bool_))
        return start, with_noise(sample, self.noise, point) if self.noise else sample.image.draw()
