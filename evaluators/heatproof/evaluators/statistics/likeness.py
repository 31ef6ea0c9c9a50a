"""Whether images that are alike in one thing are alike in another: scores of a set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast, Column
from heatproof.evaluators.statistics.reductions import Unbounded


@dataclass(frozen=True, slots=True)
class LikenessOfPart(Unbounded):
    """A data set's score is how alike in a part the images of equal score are.

    Of each image the share of the other images of its score whose part is its own, averaged over
    the images that have such others. A score of the set: the images share their partners, so that
    no image's share in it can be resampled.

    Attributes:
        part: the name of the part.
    """

    is_resampled: ClassVar[bool] = False
    left_out: ClassVar[Reason] = Reason.NO_DONOR

    part: str

    @property
    def range(self) -> Range:
        """Shares."""
        return UNIT

    @property
    def parts(self) -> tuple[str, ...]:
        """The part."""
        return (self.part,)

    def contrast(self, scores: Column, parts: Mapping[str, Column]) -> ArmContrast:
        """The mean of the images' shares."""
        part = parts[self.part]
        shares = np.full(len(scores), np.nan)
        known = np.isfinite(scores) & np.isfinite(part)
        alike = _others_of_equal(scores[known])
        both = _others_of_equal(np.column_stack((scores[known], part[known])))
        shares[known] = np.divide(both, alike, out=np.full(len(both), np.nan), where=alike > 0)
        return ArmContrast((Arm.of_mean(shares),))

    def estimate(self, images: ArmContrast, units: ArmContrast) -> float:  # noqa: ARG002  # as the protocol says
        """The mean."""
        return units.estimate()


def _others_of_equal(rows: np.ndarray) -> np.ndarray:
    """How many other rows equal each one."""
    _, places, counts = np.unique(rows, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(counts[places.reshape(-1)] - 1, np.float64)
