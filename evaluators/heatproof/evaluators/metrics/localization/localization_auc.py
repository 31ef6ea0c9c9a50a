"""How well the map tells object pixels from others, whatever the threshold."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np
import scipy
from jaxtyping import Bool, Float64

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.objects import ObjectMetric
from heatproof.evaluators.metrics.metric import METRICS, MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Outcome
from heatproof.evaluators.registry.parameters import UNIT, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

PixelScores = Float64[np.ndarray, "pixels"]
OnObject = Bool[np.ndarray, "pixels"]


class RankSummary(StrEnum):
    """Which curve over all thresholds the area is under."""

    ROC = "roc"
    PRECISION = "precision"


@METRICS.register
@dataclass(frozen=True, slots=True)
class LocalizationAuc(ObjectMetric):
    """Takes the area under the ROC curve of the map as a score for object pixels.

    The chance that an object pixel has a higher value than another one, ties counting half; or the
    average precision, in which tied pixels are told apart by no threshold. `chance` is .5, or the
    object's share of the input.
    """

    facts: ClassVar[MetricFacts] = MetricFacts(
        name="localization_auc",
        reference="Fawcett 2006",
        category=MetricCategory.LOCALIZATION,
        direction=Direction.HIGHER_IS_BETTER,
        reads=(Reads.ATTRIBUTION, Reads.OBJECTS),
    )

    summary: RankSummary = parameter(RankSummary.ROC, "What the area is under.")

    @property
    def reduction(self) -> Reduction:
        """The mean of the areas."""
        return Mean(UNIT)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Chance is a share."""
        return {"chance": Mean(UNIT)}

    def compared(self, case: Case, objects: Mask) -> Outcome:
        """`P(A on O > A elsewhere) + P(equal) / 2`, or the average precision."""
        scores, hits = case.map.reshape(-1), objects.reshape(-1)
        if self.summary is RankSummary.ROC:
            return Outcome(_roc_area(scores, hits), {"chance": 0.5})
        return Outcome(_average_precision(scores, hits), {"chance": float(hits.mean())})


def _roc_area(scores: PixelScores, hits: OnObject) -> float:
    """Mann and Whitney's statistic as a share of all pairs."""
    inside = int(hits.sum())
    pairs = inside * (hits.size - inside)
    return UNIT.clip((scipy.stats.rankdata(scores)[hits].sum() - inside * (inside + 1) / 2) / pairs)


def _average_precision(scores: PixelScores, hits: OnObject) -> float:
    """`sum over thresholds of (recall - last recall) precision`."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.diff(scores[order]) != 0, values=True)
    found = np.cumsum(hits[order])[ends]
    seen = np.flatnonzero(ends) + 1
    gained = np.diff(found, prepend=0) / found[-1]
    return UNIT.clip(float((gained * found / seen).sum()))
