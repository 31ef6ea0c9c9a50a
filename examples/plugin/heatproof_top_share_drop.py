"""What the class loses when the most salient share of the pixels is hidden."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics import METRICS, Case, Metric
from heatproof.evaluators.metrics.metric import Cost, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.procedure import Procedure, predict
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True)
class TopShareDrop(Metric):
    """Takes what the class loses when the most salient share of the pixels is removed."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="top_share_drop",
        reference="Heatproof",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    share: float = parameter(0.1, "Share of the pixels.", within=Range(0, 1, lower_included=False))

    @property
    def reduction(self) -> Reduction:
        """The mean of the drops."""
        return Mean(Range(-1, 1))

    def cost(self, case: Case) -> Cost:
        """One prediction."""
        return Cost(views=1)

    def score(self, case: Case) -> Procedure[Outcome]:
        """`s(x) - s(x without the top pixels)`."""
        if case.map.min() == case.map.max():
            return Outcome(Undefined(Reason.DEGENERATE, "the map is constant"))
        visible = case.map < np.quantile(case.map, 1 - self.share)
        answer = yield from predict(case.sample.view(visible, case.removal))
        return Outcome(case.sample.confidence - case.sample.probability(answer))
