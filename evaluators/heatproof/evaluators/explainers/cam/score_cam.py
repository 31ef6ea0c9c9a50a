"""Weights the channels of an activation tensor by the class logit of the image that each shows."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy
from jaxtyping import Float32, Float64

from heatproof.evaluators.explainers.baselines import baseline_of, check_baseline
from heatproof.evaluators.explainers.cam.channel_scores import ChannelIndices, ChannelScores
from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, Procedure, respond
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.removal import Black, RemovalOperator


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class ScoreCam(ChannelScores):
    """Weights the channels of an activation tensor by the class logit of what each shows."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="score_cam",
        reference="Wang et al. 2020, arXiv 1910.01279",
        category=ExplainerCategory.CAM,
    )

    baseline: RemovalOperator = parameter(
        Black(), "Pixel operator whose fully removed image shows where a channel is low."
    )

    def check(self, model: PredictorFacts) -> None:
        """Refuses a baseline outside of pixel space, and tensors as all such maps do."""
        check_baseline(self.baseline)
        ChannelScores.check(self, model)

    def weights(
        self, sample: Sample, activation: Activations, chosen: ChannelIndices
    ) -> Procedure[Float64[np.ndarray, "chosen"]]:
        """Softmax over the channels of `z_c(M_k x + (1 - M_k) x')`, `M_k` as `shown` makes it."""
        background = baseline_of(sample, self.baseline)
        views = (self._view(sample, background, (k, activation[k])) for k in map(int, chosen))
        found = yield from respond(views, sample.logit)
        return np.asarray(scipy.special.softmax(found.values))

    def _view(
        self, sample: Sample, background: Image, channel: tuple[int, Float32[np.ndarray, "..."]]
    ) -> MaskedView:
        number, values = channel

        def draw() -> Image:
            share = shown(values.astype(np.float64), sample.height, sample.width)
            blended: Image = share * sample.image.draw() + (1 - share) * background
            return blended

        # Waiting images hold no pixels: each is drawn when its batch is cut.
        tensor = self.tensor_of(sample.facts)
        key = f"{sample.image.key}/shown/{tensor}/{number}/{self.baseline!r}"
        return sample.view(image=LazyImage(key, draw))


def shown(channel: Coarse, height: int, width: int) -> Float32[np.ndarray, "height width"]:
    """A channel stretched over the input and scaled to [0, 1]; all 0 if it is constant."""
    wide = stretched(channel, height, width)
    low, high = wide.min(), wide.max()
    scaled = np.zeros_like(wide) if low == high else (wide - low) / (high - low)
    return scaled.astype(np.float32)
