"""Non-sensitivity: whether a map and the model find the same regions without any effect."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.faithfulness.subset_fidelity.subset_fidelity import (
    Evidence,
    SingleRegions,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.parameters import UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class NonSensitivity(SingleRegions):
    """Takes the share of the regions that only the map or only the model finds without effect.

    `|Z_A xor Z_d| / n` with `Z_A = [|A_i| <= eps max |A|]` and `Z_d = [|d_i| <= eps]`, of summed
    attributions `A_i` and the effects `d_i` of single regions; in [0, 1].
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="non_sensitivity",
        reference="Nguyen and Martinez 2020, arXiv 2007.07584",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )

    eps: float = parameter(
        0.01,
        "Largest effect, and largest share of the largest attribution, that count as none.",
        within=Range(0, 1, upper_included=False),
    )

    @property
    def reduction(self) -> Reduction:
        """The mean of the shares; maps and models that agree wholly have 0."""
        return Mean(UNIT, (0.0,))

    def measure(self, evidence: Evidence) -> Outcome:
        """`|Z_A xor Z_d| / n`."""
        magnitudes = np.abs(evidence.attributions)
        without_attribution = magnitudes <= self.eps * magnitudes.max()
        without_effect = np.abs(evidence.drops) <= self.eps
        return Outcome(float((without_attribution ^ without_effect).mean()))
