"""Relative representation stability: the relative change of a map over that of the features."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.masking.features import (
    Features,
    check_features,
    features_tensor,
    look,
    pooled,
)
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.robustness.perturbed_maps import ExplainedImage
from heatproof.evaluators.metrics.robustness.relative_stability import RelativeStability
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.passes import ModelPass
from heatproof.evaluators.queries.predictor import PredictorFacts
from heatproof.evaluators.queries.procedure import Prediction, Procedure
from heatproof.evaluators.registry.parameters import parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class RelativeRepresentationStability(RelativeStability):
    """Takes the largest relative change of the map over the relative change of the features.

    `max over k of ||(A - A_k) / A||_2 / max(||(L(x) - L(x_k)) / L(x)||_2, epsilon)`, where L is
    what the classifier reads: the last spatial tensor, averaged, or all values of another tensor.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="relative_representation_stability",
        reference="Agarwal et al. 2022, arXiv 2203.06877",
        category=MetricCategory.ROBUSTNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    tensor: str = parameter(
        "", "Features; empty: the last spatial tensor before the global pool, averaged."
    )

    def passes(self, model: PredictorFacts) -> tuple[ModelPass, ...]:
        """A look at the features."""
        tensor = features_tensor(self.tensor, model)
        return (ModelPass(model.model, taps=(tensor,)),) if tensor else ()

    def check(self, case: Case) -> None:
        """Refuses tensors that the model lacks, and regions that do not fit the input."""
        check_features(self.tensor, case.model)
        RelativeStability.check(self, case)

    def cost(self, case: Case) -> Cost:
        """A map and a look at the features of each image, a prediction where somebody reads it.

        And a look at the features of the clean image.
        """
        views = self.answers(case, self.draws) + self.draws + 1
        return Cost(views=views, explanations=self.draws)

    def divisor(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||(L(x) - L(x_k)) / L(x)||_2`."""
        tensor = features_tensor(self.tensor, clean.sample.facts)
        answers = yield from look([clean.sample.view(), moved.sample.view()], tensor)
        before, after = (self._features(answer, tensor) for answer in answers)
        return self.relative_change(before, after)

    def _features(self, answer: Prediction, tensor: str) -> Features:
        if not self.tensor:
            return pooled(answer, tensor)
        return answer.features[tensor].astype(np.float64).reshape(-1)
