"""Area between perturbation curves: least relevant first less most relevant first."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_gap import CurveGap
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Abpc(CurveGap):
    """Takes the area between the curves of least and of most relevant regions first.

    The number of `Srg` under its other name.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="abpc",
        reference="Samek et al. 2017, arXiv 1509.06321",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
