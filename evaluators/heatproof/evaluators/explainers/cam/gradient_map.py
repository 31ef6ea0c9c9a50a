"""Maps made of an activation tensor and the gradient of the class logit in it."""

from abc import abstractmethod
from dataclasses import dataclass

from heatproof.evaluators.explainers.cam.tensor_map import Activations, Coarse, TensorMap
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, differentiate
from heatproof.evaluators.queries.sample import Sample


@dataclass(frozen=True, slots=True)
class GradientMap(TensorMap):
    """Combines an activation tensor with the gradient of the class logit in it."""

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the tensor."""
        tensor = self.tensor_of(model)
        return (ModelPass(model.model, wrt=tensor),) if tensor else ()

    def cost(self, model: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def coarse(self, sample: Sample) -> Procedure[Coarse]:
        """Asks for tensor and gradient, and combines them."""
        view = sample.gradient_view(wrt=self.tensor_of(sample.facts))
        found = yield from differentiate(view)
        return self.combined(self.spatial(sample, found.activation), found.gradient)

    @abstractmethod
    def combined(self, activation: Activations, gradient: Activations) -> Coarse:
        """The coarse map of a tensor `a_k` and its gradient `g_k`."""
