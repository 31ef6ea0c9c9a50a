"""Units of sampling: images that are counted once, or whole groups of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from heatproof.evaluators.statistics.arms import Arm, ArmContrast


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """How images make up the units that are resampled.

    Images of equal bytes are one sample: the first of them counts, the others are copies. Where
    images have groups (patients, scenes, cameras), a group is a unit, else each image is one. The
    order of the units is that of a seeded hash, so that the order of the images decides nothing.

    Attributes:
        images: positions of the images that count, ascending.
        unit: the unit of each of these.
        count: number of units.
        grouped: whether the images have groups.
        copies: images that do not count.
    """

    images: Int64[np.ndarray, "images"]
    unit: Int64[np.ndarray, "images"]
    count: int
    grouped: bool
    copies: int

    @classmethod
    def of(cls, digests: Sequence[str], groups: Sequence[str], *, seed: int) -> "Units":
        """Finds the units of a data set.

        Args:
            digests: SHA-256 of each image's bytes.
            groups: group of each image; "" for an image that is its own unit.
            seed: of the order of the units.
        """
        first = {digest: place for place, digest in reversed(list(enumerate(digests)))}
        kept = sorted(first.values())
        names = [_name(digests[place], groups[place]) for place in kept]
        ordered = sorted(set(names), key=lambda name: _rank(seed, name))
        number = {name: index for index, name in enumerate(ordered)}
        return cls(
            images=np.array(kept, dtype=np.int64),
            unit=np.array([number[name] for name in names], dtype=np.int64),
            count=len(ordered),
            grouped=any(groups),
            copies=len(digests) - len(kept),
        )

    @property
    def largest(self) -> int:
        """Images of the largest unit; 1 without groups."""
        return int(np.bincount(self.unit).max(initial=1))

    def first(self, count: int) -> tuple[int, ...]:
        """Positions of the images of the first units, ascending; of all if there are fewer.

        The first units of a larger number hold those of a smaller one.
        """
        return tuple(self.images[self.unit < count].tolist())

    def summed(self, arm: Arm) -> Arm:
        """Sums an arm over the images that count into one over the units."""
        return Arm(
            self._sums(arm.numerators),
            self._sums(arm.denominators),
            self._sums(arm.scored.astype(np.float64)) > 0,
        )

    def summed_contrast(self, contrast: ArmContrast) -> ArmContrast:
        """The same of every arm of a contrast."""
        return ArmContrast(tuple(map(self.summed, contrast.arms)), contrast.signs)

    def _sums(self, column: Float64[np.ndarray, "images"]) -> Float64[np.ndarray, "units"]:
        sums = np.bincount(self.unit, weights=column, minlength=self.count)
        return sums.astype(np.float64)  # of no images bincount makes integers


def _name(digest: str, group: str) -> tuple[str, str]:
    return ("group", group) if group else ("image", digest)


def _rank(seed: int, name: tuple[str, str]) -> bytes:
    return hashlib.sha256(f"heatproof/{seed}/{name[0]}/{name[1]}".encode()).digest()
