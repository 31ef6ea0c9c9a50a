"""Takes the area under the class probability as the most salient cells are removed."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import GridArea
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Deletion(GridArea):
    """Takes the area under the class probability as the most salient cells are removed."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="deletion",
        reference="Petsiuk et al. 2018, arXiv 1806.07421",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF
