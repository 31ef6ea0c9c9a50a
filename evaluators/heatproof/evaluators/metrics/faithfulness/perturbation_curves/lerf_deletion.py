"""Takes the area under the class probability as the least relevant regions go first."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import SteppedArea
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class LerfDeletion(SteppedArea):
    """Takes the area under the class probability as the least relevant regions go first.

    The insertion curve read backwards, by definition, so that it is the number of `Insertion`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="lerf_deletion",
        reference="Samek et al. 2017, arXiv 1509.06321",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.LERF
