"""Takes the area under the class probability as the most relevant pixels are removed."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.courses import Way
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import SteppedArea
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.regions import Pixels, Segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class PixelFlipping(SteppedArea):
    """Takes the area under the class probability as the most relevant pixels are removed."""

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="pixel_flipping",
        reference="Bach et al. 2015, doi 10.1371/journal.pone.0130140",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF

    regions: Segmentation = parameter(Pixels(), "What is removed at a time.")
    steps: int = parameter(100, "Steps of the curve; at most the regions.", within=Range(1, 1000))
