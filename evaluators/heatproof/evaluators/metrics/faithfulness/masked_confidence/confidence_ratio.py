"""What metrics share that relate a change of the probability to what could be lost or gained."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from heatproof.evaluators.metrics.faithfulness.masked_confidence.masked_confidence import (
    MaskedConfidence,
)
from heatproof.evaluators.metrics.functions.curves import MIN_CONFIDENCE
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.reductions import Mean, RatioOfMeans, Reduction


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceRatio(MaskedConfidence):
    """Divides a change by its largest possible value; of a data set the ratio of the means.

    Attributes:
        numerator: name of the part that holds the change.
        denominator: name of the part that holds its largest possible value.
        denominator_text: the latter in words.
    """

    numerator: ClassVar[str]
    denominator: ClassVar[str]
    denominator_text: ClassVar[str]

    @abstractmethod
    def change(self, confidence: float, masked: float) -> float:
        """The change, 0 for one in the other direction."""

    @abstractmethod
    def largest(self, confidence: float) -> float:
        """The largest possible change."""

    @property
    def reduction(self) -> Reduction:
        """The ratio of the means; images without a change have 0."""
        return RatioOfMeans(
            numerator=(self.numerator, ""),
            denominator=(self.denominator, ""),
            min_denominator=0.0,
            range=UNIT,
            atoms=(0.0,),
            part_range=UNIT,
        )

    @property
    def own_parts(self) -> Mapping[str, Reduction]:
        """What is divided, and the mean of the images' own ratios, which is the published score."""
        changes = Mean(UNIT, (0.0,))
        return {
            self.numerator: changes,
            self.denominator: Mean(UNIT),
            "mean_of_ratios": changes,
        }

    def unfit(self, confidence: float) -> Undefined | None:
        """An image of which nothing can be divided."""
        largest = self.largest(confidence)
        if largest >= MIN_CONFIDENCE:
            return None
        detail = f"{self.denominator_text} is {largest:.2g} only"
        return Undefined(Reason.NO_CONFIDENCE, detail)

    def compare(self, confidence: float, masked: float) -> Outcome:
        """The change over the largest possible one."""
        change, largest = self.change(confidence, masked), self.largest(confidence)
        ratio = UNIT.clip(change / largest)
        parts = {self.numerator: change, self.denominator: largest, "mean_of_ratios": ratio}
        return Outcome(ratio, parts)
