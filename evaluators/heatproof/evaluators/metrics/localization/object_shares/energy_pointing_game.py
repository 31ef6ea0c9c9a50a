"""Energy-based pointing game: the share of positive attribution on the object."""

from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.localization.object_shares.shares import (
    OBJECT_READS,
    MassShare,
)
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction


@METRICS.register
@dataclass(frozen=True, slots=True)
class EnergyPointingGame(MassShare):
    """Takes the share of the positive attributions that lies on the object.

    The number of `attribution_localization`, unweighted, by the name of the Score-CAM paper.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="energy_pointing_game",
        reference="Wang et al. 2020, arXiv 1910.01279",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=OBJECT_READS,
    )
