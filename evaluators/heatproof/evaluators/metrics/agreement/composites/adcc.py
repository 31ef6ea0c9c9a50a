"""ADCC: average drop, coherency and complexity in one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.agreement.composites.masked_map import (
    MaskedMap,
    MaskedMapMetric,
    harmonic,
)
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.functions.curves import low_confidence
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome, Undefined
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True, kw_only=True)
class Adcc(MaskedMapMetric):
    """Takes the harmonic mean of coherency, conciseness and what the class keeps of its confidence.

    Of `coherency`, `1 - mean_activation` and `1 - average_drop`, in [0, 1]; 0 where one of them is.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="adcc",
        reference="Poppi et al. 2021, arXiv 2104.10252",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.EXPLAINER, Reads.REMOVAL),
    )

    @property
    def terms(self) -> Sequence[str]:
        """What it is made of."""
        return ("coherency", "mean_activation", "average_drop")

    def unfit(self, case: Case) -> Undefined | None:
        """Refuses images of whose probability nothing can be lost."""
        return low_confidence(case.sample)

    def combine(self, case: Case, found: MaskedMap) -> Procedure[Outcome]:
        """The harmonic mean of all three."""
        yield from ()
        confidence = case.sample.confidence
        drop = max(0.0, confidence - found.confidence) / confidence
        covered = float(found.heat.mean())
        return harmonic(
            {"coherency": found.coherency, "mean_activation": covered, "average_drop": drop},
            {"coherency": found.coherency, "conciseness": 1 - covered, "kept": 1 - drop},
        )
