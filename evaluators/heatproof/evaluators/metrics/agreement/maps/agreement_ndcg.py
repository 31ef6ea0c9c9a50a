"""Discounted gain of one map's cells in the order of another."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.images.arrays import Map
from heatproof.evaluators.metrics.agreement.maps.map_agreement import CellAgreement
from heatproof.evaluators.metrics.functions.agreements import ndcg
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.regions.grid import descending
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.registry.registry import Reads


@METRICS.register
@dataclass(frozen=True, slots=True)
class AgreementNdcg(CellAgreement):
    """Takes the discounted gain of the other map's cells in the order of the map; in [0, 1].

    Not symmetric. The measure of SageMaker's alarm for drift of attributions, but for each image.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="agreement_ndcg",
        reference="Jarvelin and Kekalainen 2002, doi 10.1145/582415.582418",
        category=MetricCategory.AGREEMENT,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION,),
    )

    scores: ClassVar[Range] = UNIT

    def likeness(self, own: Map, other: Map, sample: Sample) -> float | None:
        """`DCG(order of A) / DCG(order of B)` of the gains `max(0, B_i)`; None where none is."""
        cells = self.cells(sample)
        order = descending(cells.means(own), sample.rng("ties"))
        return ndcg(order, np.maximum(cells.means(other), 0))
