"""Shares of a map that lie on the object: what the metrics of this folder have in common."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.metrics.case import Case
from heatproof.evaluators.metrics.localization.objects import (
    ObjectMetric,
    mass_share,
    positive_part,
)
from heatproof.evaluators.outcomes import Outcome, Undefined
from heatproof.evaluators.regions.grid import descending
from heatproof.evaluators.registry.parameters import NOT_NEGATIVE, UNIT, Range, parameter
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.statistics.reductions import Mean, Reduction

OBJECT_READS: Final = (Reads.ATTRIBUTION, Reads.OBJECTS)
"""What all of them read."""


@dataclass(frozen=True, slots=True)
class ObjectShare(ObjectMetric):
    """Takes the share of something of the map that lies on the object.

    `chance` is what a random map gets in the mean: the object's share of the input, or 1 where the
    share is divided by that.

    Attributes:
        end_atoms: shares that a real part of the images has exactly.
    """

    end_atoms: ClassVar[tuple[float, ...]] = (0.0, 1.0)

    @property
    def is_weighted(self) -> bool:
        """Whether the share is divided by the object's share of the input."""
        return False

    @abstractmethod
    def share(self, case: Case, objects: Mask) -> float | Undefined:
        """The share on the object, or why there is none."""

    @property
    def reduction(self) -> Reduction:
        """The mean; divided shares have no end of their own."""
        if self.is_weighted:
            return Mean(NOT_NEGATIVE, (0.0,))
        return Mean(UNIT, self.end_atoms)

    @property
    def part_reductions(self) -> Mapping[str, Reduction]:
        """Chance is a share of pixels."""
        return {"chance": Mean(UNIT)}

    def compared(self, case: Case, objects: Mask) -> Outcome:
        """The share, divided by the object's share of the input if it is weighted."""
        share = self.share(case, objects)
        if isinstance(share, Undefined):
            return Outcome(share)
        cover = float(objects.mean())
        if self.is_weighted:
            return Outcome(share / cover, {"chance": 1.0})
        return Outcome(share, {"chance": cover})


@dataclass(frozen=True, slots=True)
class MassShare(ObjectShare):
    """Takes the share of the positive attributions."""

    def share(self, case: Case, objects: Mask) -> float | Undefined:
        """`sum of A+ on the object / sum of A+`."""
        masses = positive_part(case.map)
        return masses if isinstance(masses, Undefined) else mass_share(masses, objects)


@dataclass(frozen=True, slots=True)
class TopShare(ObjectShare):
    """Takes the share of the `k` most salient pixels; ties fall as the seed draws them."""

    k: int = parameter(1000, "Most salient pixels that are looked at.", within=Range(1, 1_000_000))

    def check(self, case: Case) -> None:
        """Refuses more pixels than the input has."""
        pixels = case.model.height * case.model.width
        if self.k > pixels:
            raise InvalidArgumentError(
                f"k is {self.k}, but the input of {case.model.width} x {case.model.height} has "
                f"{pixels} pixels: choose at most these",
                field="k",
            )

    def share(self, case: Case, objects: Mask) -> float | Undefined:
        """`|top-k pixels on the object| / k`."""
        return share_of_top(case, objects, self.k)


def share_of_top(case: Case, objects: Mask, count: int) -> float:
    """The share of so many most salient pixels that lies on the object."""
    order = descending(case.map.reshape(-1), case.sample.rng("ties"))
    return float(np.mean(objects.reshape(-1)[order[:count]]))
