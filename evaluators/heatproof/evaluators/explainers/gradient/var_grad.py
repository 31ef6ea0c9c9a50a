"""Takes the variance of the gradients of the class logit at images with noise."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.explainers.explainer import EXPLAINERS, ExplainerCategory, ExplainerFacts
from heatproof.evaluators.explainers.gradient.noisy_gradients import NoisyGradients
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.sample import Sample


@EXPLAINERS.register
@dataclass(frozen=True, slots=True)
class VarGrad(NoisyGradients):
    """Takes the variance of the gradients of the class logit at images with noise."""

    facts: ClassVar[ExplainerFacts] = ExplainerFacts(
        name="var_grad",
        reference="Adebayo et al. 2018, arXiv 1810.03307",
        category=ExplainerCategory.GRADIENT,
    )

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`sum over channels of var_k g_k`, over the draws and not over one less."""
        found = yield from self.moments(sample)
        summed: Map = found.variance.sum(axis=0)
        return summed
