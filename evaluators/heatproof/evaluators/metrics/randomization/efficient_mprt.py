"""Efficient model parameter randomization: how much more complex a map a random model has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.metric import METRICS, Cost, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.randomization.model_randomization import (
    RandomizedModels,
    sound_map,
)
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.passes import Weights
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class EfficientMprt(RandomizedModels):
    """Compares the complexity of the map with that of the map of a model wholly drawn anew.

    `(h(A_random) - h(A)) / h(A)`, `h` the entropy of the histogram of a map over equal bins between
    its lowest and highest value. -1 where the random model's map is constant.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="efficient_mprt",
        reference="Hedström et al. 2023, arXiv 2401.06465",
        category=MetricCategory.RANDOMIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.RANDOMIZED_MODELS),
    )

    bins: int = parameter(100, "Bins of the histogram of a map.", within=Range(10, 1000))

    @property
    def reduction(self) -> Reduction:
        """The mean of the rises."""
        return Mean(Range(-1, NOT_NEGATIVE.upper, upper_included=False))

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Both entropies."""
        bounds = Range(0, float(np.log(self.bins)))
        return {"entropy": Mean(bounds), "random_entropy": Mean(bounds)}

    def cost(self, case: Case) -> Cost:
        """A map of one random model, and its answer where the explainer reads it."""
        return Cost(views=int(case.explainer.reads_answer), explanations=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`(h(A_random) - h(A)) / h(A)`."""
        if is_constant(case.map.reshape(-1)):
            return Outcome(Undefined(Reason.DEGENERATE, "the map of the trained model is constant"))
        sample = case.randomized(Weights(case.model.layers, case.sample.seed))
        made = yield from sound_map(case, sample, "a random model")
        if isinstance(made, Undefined):
            return Outcome(made)
        trained, random = self._entropy(case.map), self._entropy(made)
        parts = {"entropy": trained, "random_entropy": random}
        return Outcome((random - trained) / trained, parts)

    def _entropy(self, made: Map) -> float:
        """Entropy in nats; 0 for a constant map."""
        if is_constant(made.reshape(-1)):
            return 0.0
        counts, _ = np.histogram(made, self.bins)
        shares = counts[counts > 0] / made.size
        return float(-(shares * np.log(shares)).sum())
