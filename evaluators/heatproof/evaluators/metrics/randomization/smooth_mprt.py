"""Smooth model parameter randomization: the same over maps from which noise is averaged away."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from heatproof.evaluators.explainers.gradient.noisy_gradients import noisy_image
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.randomization.model_randomization import (
    LayerOrder,
    StagedRandomization,
    rms_scaled,
    sound_map,
)
from heatproof.evaluators.outcomes import Direction, Undefined
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import (
    LazyImage,
    Procedure,
    chunks,
    in_turn,
    together,
)
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class SmoothMprt(StagedRandomization):
    """Compares maps as `Mprt` does, each averaged over images with noise.

    The map of every model is the mean of the maps of `x + d_k`, `d_k` normal and not clipped, each
    divided by its root mean square; the noise is the same at all stages. So noise in the maps does
    not pass for a dependence on the weights.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="smooth_mprt",
        reference="Hedström et al. 2023, arXiv 2401.06465",
        category=MetricCategory.RANDOMIZATION,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.RANDOMIZED_MODELS),
    )
    # The images of one stage fill batches, and fewer answers wait than of all stages at once.
    run_stages: ClassVar[Callable[[Iterable[Procedure[Any]]], Procedure[list[Any]]]] = in_turn

    order: LayerOrder = parameter(LayerOrder.BOTTOM_UP, "Which layers a stage draws anew.")
    samples: int = parameter(20, "Images with noise.", within=Range(1, 300))
    noise: float = parameter(
        0.1, "Standard deviation of the noise over the range of the image's values.", within=UNIT
    )

    def cost(self, case: Case) -> Cost:
        """A map of each image with noise on the trained model and at each stage.

        And an answer to each where the explainer reads it.
        """
        images = (self.stages + 1) * self.samples
        return Cost(views=images if case.explainer.reads_answer else 0, explanations=images)

    def trained_map(self, case: Case) -> Procedure[Map | Undefined]:
        """The mean map of the trained model."""
        return self._mean_map(case, case.sample, "the trained model")

    def stage_map(self, case: Case, weights: Weights) -> Procedure[Map | Undefined]:
        """The mean map of a random model."""
        return (yield from self._mean_map(case, case.randomized(weights), "a random model"))

    def _mean_map(self, case: Case, sample: Sample, whose: str) -> Procedure[Map | Undefined]:
        total = np.zeros((sample.height, sample.width))
        for chunk in chunks(range(self.samples)):
            images = (noisy_image(sample, self.noise, draw) for draw in chunk)
            found = yield from together(
                self._add(total, case, sample, image, whose) for image in images
            )
            reason = next((one for one in found if one is not None), None)
            if reason is not None:
                return reason
        return total / self.samples

    def _add(
        self, total: Map, case: Case, sample: Sample, image: LazyImage, whose: str
    ) -> Procedure[Undefined | None]:
        """Adds the scaled map of an image, nothing for one of zeros; or says why there is none."""
        made = yield from sound_map(case, sample.moved(image), whose)
        if isinstance(made, Undefined):
            return made
        total += rms_scaled(made)
        return None
