"""Attribution localization: the share of positive attribution on the object."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.localization.object_shares.shares import (
    OBJECT_READS,
    MassShare,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import parameter


@METRICS.register
@dataclass(frozen=True, slots=True)
class AttributionLocalization(MassShare):
    """Takes the share of the positive attributions that lies on the object.

    `sum of A+ on O / sum of A+`; `weighted` divides it by the object's share of the input.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="attribution_localization",
        reference="Kohlbrenner et al. 2020, arXiv 1910.09840",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=OBJECT_READS,
    )

    weighted: bool = parameter(
        default=False, summary="Whether the share is divided by the object's share of the input."
    )

    @property
    def is_weighted(self) -> bool:
        """As the parameter says."""
        return self.weighted
