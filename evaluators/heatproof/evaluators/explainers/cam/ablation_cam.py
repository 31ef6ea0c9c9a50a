"""Weights the channels of an activation tensor by what the class logit loses without each."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.explainers.cam.channel_scores import ChannelIndices, ChannelScores
from heatproof.evaluators.explainers.cam.tensor_map import Activations
from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import MaskedView, Procedure, respond
from heatproof.evaluators.queries.sample import Sample


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class AblationCam(ChannelScores):
    """Weights the channels of an activation tensor by what the class logit loses without each.

    The published weight is divided by the logit, which turns the map over where it is negative;
    this one is not.
    """

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="ablation_cam",
        reference="Desai and Ramaswamy 2020, doi 10.1109/WACV45572.2020.9093360",
        category=ExplainerCategory.CAM,
    )

    @property
    def reads_answer(self) -> bool:
        """The logit, which that without a channel is subtracted from."""
        return True

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the tensor, and a gate for its channels."""
        gates = (
            ModelPass(model.model, gate=run.taps[0]) for run in ChannelScores.passes(self, model)
        )
        return (*ChannelScores.passes(self, model), *gates)

    def weights(
        self, sample: Sample, activation: Activations, chosen: ChannelIndices
    ) -> Procedure[Float64[np.ndarray, "chosen"]]:
        """`z_c - z_c with channel k of the tensor set to 0`."""
        views = (self._view(sample, len(activation), k) for k in map(int, chosen))
        found = yield from respond(views, sample.logit)
        return np.asarray(sample.logit(sample.clean) - found.values)

    def _view(self, sample: Sample, channels: int, ablated: int) -> MaskedView:
        factors = np.ones(channels, np.float32)
        factors[ablated] = 0
        return sample.gated_view(self.tensor_of(sample.facts), factors)
