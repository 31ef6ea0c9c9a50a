"""Gradients at images with noise, and how they are summed up."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.queries.passes import IMAGE, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import GradientView, LazyImage, Procedure, ask, chunks
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter


def with_noise(sample: Sample, noise: float, draw: int) -> Image:
    """The image and a normal draw of its own for each value, not clipped.

    Args:
        sample: the image.
        noise: standard deviation over the range of the image's values.
        draw: number of the draw; it depends neither on how many there are nor on the model.
    """
    image = sample.image.draw()
    spread = np.float32(noise * float(image.max() - image.min()))
    noisy: Image = image + spread * sample.rng(f"noise/{draw}").standard_normal(
        image.shape, np.float32
    )
    return noisy


def noisy_image(sample: Sample, noise: float, draw: int) -> LazyImage:
    """The image of `with_noise`, drawn when its batch is cut: waiting ones hold no pixels."""
    key = f"{sample.image.key}/noise/{noise}/{draw}"
    return LazyImage(key, partial(with_noise, sample, noise, draw))


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What is known of the gradients at the draws.

    Attributes:
        mean: of each channel and pixel.
        variance: over the draws, not over one less.
    """

    mean: Float64[np.ndarray, "3 height width"]
    variance: Float64[np.ndarray, "3 height width"]


@dataclass(frozen=True, slots=True)
class NoisyGradients(Explainer):
    """Sums up the gradients of the class logit at images with normal noise."""

    samples: int = parameter(25, "Images with noise.", within=Range(1, 1000))
    noise: float = parameter(
        0.15, "Standard deviation of the noise over the range of the image's values.", within=UNIT
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image."""
        return (ModelPass(model.model, wrt=IMAGE),)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for a gradient at each image with noise."""
        return self.samples

    def moments(self, sample: Sample) -> Procedure[Moments]:
        """Mean and variance of `d z_c / d x` at `x + d_k`, each gradient held once.

        Equal gradients have exactly their value as mean and 0 as variance (Welford 1962).
        """
        mean, squares = np.zeros((2, 3, sample.height, sample.width))
        for chunk in chunks(range(self.samples)):
            answers = yield from ask([self._view(sample, draw) for draw in chunk])
            for draw, answer in zip(chunk, answers, strict=True):
                gradient = answer.gradient.astype(np.float64)
                deviation = gradient - mean
                mean += deviation / (draw + 1)
                squares += deviation * (gradient - mean)
        return Moments(mean, squares / self.samples)

    def _view(self, sample: Sample, draw: int) -> GradientView:
        return sample.gradient_view(image=noisy_image(sample, self.noise, draw))
