"""Takes the area under the class probability as the most relevant patches are removed."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.courses import ONE_BY_ONE, Way
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.curve_area import SteppedArea
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.regions import Patches, Segmentation
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class Selectivity(SteppedArea):
    """Takes the area under the class probability as the most relevant patches are removed.

    All regions are removed, one a step: deletion on another grid.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="selectivity",
        reference="Montavon et al. 2018, doi 10.1016/j.dsp.2017.10.011",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.LOWER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.REMOVAL),
    )
    way: ClassVar[Way] = Way.MORF

    regions: Segmentation = parameter(Patches(), "What is removed at a time.")
    steps: int = parameter(
        ONE_BY_ONE, "Steps of the curve; 0 removes one region a step.", within=Range(0, 4096)
    )
