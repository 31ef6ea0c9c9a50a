"""Random logit: whether a map depends on the class that it explains."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.correlations import is_constant
from heatproof.evaluators.metrics.functions.similarities import Likeness, Similarity
from heatproof.evaluators.metrics.metric import METRICS, Cost, Metric, MetricCategory, MetricFacts
from heatproof.evaluators.metrics.randomization.model_randomization import sound_map
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class RandomLogit(Metric):
    """Compares the map with the map of another class, drawn at random.

    A map that shows what speaks for its class is unlike that of another one; one that stays alike
    shows the image. Where several classes are explained, the other one is none of them.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="random_logit",
        reference="Sixt et al. 2020, arXiv 1912.09818",
        category=MetricCategory.RANDOMIZATION,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER),
    )

    similarity: Similarity = parameter(Similarity.SSIM, "Likeness of two maps.")
    absolute: bool = parameter(default=False, summary="Whether the maps' magnitudes are compared.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the likenesses."""
        return Mean(Range(-1, 1))

    def check(self, case: Case) -> None:
        """Refuses a model of one class."""
        if case.model.classes == 1:
            raise InvalidArgumentError(
                f"{self.name} explains another class, and {case.model.model} has one alone: leave "
                f"{self.name} out"
            )

    def cost(self, case: Case) -> Cost:
        """One map."""
        return Cost(explanations=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`similarity(A_c, A_c')`."""
        others = np.flatnonzero(case.sample.target_weights == 0)
        if not others.size:
            detail = "the target holds every class, so that there is no other one"
            return Outcome(Undefined(Reason.DEGENERATE, detail))
        other = FixedClass(int(case.sample.rng("class").choice(others)))
        made = yield from sound_map(case, replace(case.sample, target=other), "another class")
        if isinstance(made, Undefined):
            return Outcome(made)
        if is_constant(case.map.reshape(-1)) or is_constant(made.reshape(-1)):
            detail = "the map of the target, or that of the other class, is constant"
            return Outcome(Undefined(Reason.DEGENERATE, detail))
        found = Likeness(self.similarity, self.absolute).of(case.map, made)
        if found is None:
            detail = "what is compared of a map is constant: it has no positive values"
            return Outcome(Undefined(Reason.DEGENERATE, detail))
        return Outcome(found)
