"""Gradients that rectifiers change on their way back."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.explainers.explainer import Explainer
from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.passes import IMAGE, BackwardRules, ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Procedure, differentiate
from heatproof.evaluators.queries.sample import Sample


@dataclass(frozen=True, slots=True)
class RectifiedGradient(Explainer):
    """Takes what rules of its own for rectifiers let pass of the gradient of the class logit."""

    rules: ClassVar[BackwardRules]

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A gradient by the image, by these rules."""
        return (ModelPass(model.model, wrt=IMAGE, rules=self.rules),)

    def cost(self, model: PredictorFacts) -> int:
        """Asks for one gradient."""
        return 1

    def explain(self, sample: Sample) -> Procedure[Map | Undefined]:
        """`max over channels |g|`."""
        found = yield from differentiate(sample.gradient_view(rules=self.rules))
        strongest: Map = np.abs(found.gradient).max(axis=0).astype(np.float64)
        return strongest
