"""Takes the mean class probability as shares of the most relevant pixels are imputed."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.road.road_mean import RoadMean
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class RoadMorf(RoadMean):
    """Takes the mean class probability as shares of the most relevant pixels are imputed.

    Published with `linear_imputation`, which the evaluation names; the published score is the part
    `accuracy`.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="road_morf",
        reference="Rong et al. 2022, arXiv 2202.00449",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF
