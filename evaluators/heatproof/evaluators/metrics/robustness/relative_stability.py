"""What the relative stabilities share: the relative change of the map over another change."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.robustness.noisy_maps import RADII, RADIUS, NoisyMaps
from heatproof.evaluators.metrics.robustness.perturbed_maps import FLIPS, ExplainedImage, Flips
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.regions.segmentation import Segmentation, check_segmentation
from heatproof.evaluators.regions.segmentations import Grid
from heatproof.evaluators.registry.parameters import Range, parameter


@dataclass(frozen=True, slots=True)
class RelativeStability(NoisyMaps, ABC):
    """Takes the largest relative change of the map's regions over a change of something else.

    `max over k of ||(A - A_k) / A||_2 / max(D_k, epsilon)`, element by element, where an A of 0
    counts as `epsilon`. A_i is the sum over region i of the clean image (ours; published: pixels).
    """

    summarize: ClassVar[Callable[[Sequence[float]], float]] = max

    radius: float = parameter(0.05, RADIUS, within=RADII)
    flips: Flips = parameter(Flips.SKIP, FLIPS, is_shared=True)
    epsilon: float = parameter(
        1e-6,
        "Least divisor, and what stands for one of 0.",
        within=Range(0, 1, lower_included=False),
    )
    regions: Segmentation = parameter(Grid(), "Parts whose attributions are compared.")

    def check(self, case: Case) -> None:
        """Refuses regions that do not fit the input."""
        check_segmentation(self.regions, case.model.height, case.model.width)

    @abstractmethod
    def divisor(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """How far that moved to which the map's change is relative."""

    def change(self, clean: ExplainedImage, moved: ExplainedImage) -> Procedure[float]:
        """`||(A - A_k) / A||_2 / max(D_k, epsilon)`."""
        below = yield from self.divisor(clean, moved)
        regions = clean.sample.regions(self.regions)
        sums, others = regions.sums(clean.map), regions.sums(moved.map)
        return self.relative_change(sums, others) / max(below, self.epsilon)

    def relative_change(self, before: np.ndarray, after: np.ndarray) -> float:
        """`||(before - after) / before||_2`, element by element; divisors of 0 are `epsilon`."""
        divisors = np.where(before == 0, self.epsilon, before)
        return float(np.linalg.norm((before - after) / divisors))
