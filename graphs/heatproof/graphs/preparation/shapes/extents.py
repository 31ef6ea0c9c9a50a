"""Numbers of index arithmetic: constants, and those that grow with the batch."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Number = int | float
Extents = NDArray[np.object_]
"""Elements of a tensor: each an `Extent`, or None where nothing is known."""

_LARGEST = 2**53
"""Beyond it floats and integers part ways, and int64 overflows soon."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The number slope * N + offset, where N >= 1 is the batch size.

    Attributes:
        slope: growth with the batch; 0 for constants.
        offset: the constant part.
    """

    slope: Number
    offset: Number

    @property
    def is_constant(self) -> bool:
        """Whether the batch has no influence."""
        return self.slope == 0

    @property
    def least(self) -> Number | None:
        """The lower bound, reached at N = 1; None if there is none."""
        return self.slope + self.offset if self.slope >= 0 else None


def constant_extents(array: NDArray[Any]) -> Extents:
    """The elements of a constant array."""
    found = np.empty(array.size, object)
    for place, number in enumerate(array.reshape(-1).tolist()):
        found[place] = Extent(0, number)
    return found.reshape(array.shape)


def constants_of(extents: Extents) -> NDArray[Any] | None:
    """The array if no element depends on the batch or is unknown, else None."""
    flat = list(extents.reshape(-1))
    if any(one is None or not one.is_constant for one in flat):
        return None
    return np.array([one.offset for one in flat]).reshape(extents.shape)


def lifted(function: Callable[..., Extent | None]) -> Callable[..., Extents]:
    """A function of extents as one of arrays: unknown in, unknown out; arrays broadcast."""

    def bounded(*extents: Extent | None) -> Extent | None:
        if any(extent is None for extent in extents):
            return None
        result = function(*extents)
        if result is None or max(abs(result.slope), abs(result.offset)) < _LARGEST:
            return result
        return None

    def over_arrays(*arrays: Extents) -> Extents:
        return elementwise(bounded, *arrays)

    return over_arrays


def elementwise(function: Callable[..., Extent | None], *arrays: Extents) -> Extents:
    """A function of extents or None as one of arrays, which broadcast."""
    spread = [array.reshape(-1).tolist() for array in np.broadcast_arrays(*arrays)]
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    found = np.empty(len(spread[0]), object)
    for place, extents in enumerate(zip(*spread, strict=True)):
        found[place] = function(*extents)
    return found.reshape(shape)


def added(a: Extent, b: Extent) -> Extent:
    """Returns a + b."""
    return Extent(a.slope + b.slope, a.offset + b.offset)


def negated(a: Extent) -> Extent:
    """Returns -a."""
    return Extent(-a.slope, -a.offset)


def subtracted(a: Extent, b: Extent) -> Extent:
    """Returns a - b."""
    return added(a, negated(b))


def multiplied(a: Extent, b: Extent) -> Extent | None:
    """Returns a * b, if at most one of them grows."""
    if not b.is_constant:
        a, b = b, a
    return Extent(a.slope * b.offset, a.offset * b.offset) if b.is_constant else None


def divided(a: Extent, b: Extent) -> Extent | None:
    """The exact quotient a / b, of floats; also n * k / n."""
    if b.is_constant and b.offset != 0:
        return Extent(a.slope / b.offset, a.offset / b.offset)
    if not b.is_constant and a.slope * b.offset == b.slope * a.offset:
        return Extent(0, a.slope / b.slope)
    return None


def quotient(a: Extent, b: Extent) -> Extent | None:
    """The quotient of integers, which ONNX rounds towards 0; exact wherever the batch enters."""
    if a.is_constant and b.is_constant:
        if b.offset == 0:
            return None
        whole = abs(a.offset) // abs(b.offset)
        return Extent(0, whole if (a.offset < 0) == (b.offset < 0) else -whole)
    exact = divided(a, b)
    return None if exact is None else as_integer(exact)


def remainder(a: Extent, b: Extent) -> Extent | None:
    """The remainder of a non-negative integer by a positive constant."""
    if not b.is_constant or b.offset <= 0 or a.slope % b.offset != 0 or a.offset < 0:
        return None
    return Extent(0, a.offset % b.offset)


def as_integer(a: Extent) -> Extent | None:
    """A cast to integers, which cuts the fraction off."""
    if a.is_constant:
        return Extent(0, int(a.offset)) if math.isfinite(a.offset) else None
    if float(a.slope).is_integer() and float(a.offset).is_integer():
        return Extent(int(a.slope), int(a.offset))
    return None


def rounded(rounding: Callable[[float], int]) -> Callable[[Extent], Extent | None]:
    """Floor or ceiling; the number stays a float."""

    def rule(a: Extent) -> Extent | None:
        if float(a.slope).is_integer() and math.isfinite(a.offset):
            return Extent(a.slope, float(rounding(a.offset)))
        return None

    return rule


def is_less(a: Extent, b: Extent) -> Extent | None:
    """Returns a < b as 0 or 1, if it is the same for every batch size."""
    gap = subtracted(b, a)
    if gap.slope >= 0 and gap.slope + gap.offset > 0:
        return Extent(0, 1)
    return Extent(0, 0) if gap.slope <= 0 and gap.slope + gap.offset <= 0 else None


def is_equal(a: Extent, b: Extent) -> Extent | None:
    """Returns a == b as 0 or 1, if it is the same for every batch size."""
    gap = subtracted(a, b)
    if gap.is_constant:
        return Extent(0, int(gap.offset == 0))
    root = -gap.offset / gap.slope  # the one batch size at which they are equal
    return Extent(0, 0) if root < 1 or not root.is_integer() else None


def negation(a: Extent) -> Extent | None:
    """Returns not a."""
    return Extent(0, int(not a.offset)) if a.is_constant else None


def larger(a: Extent, b: Extent) -> Extent | None:
    """Returns max(a, b), if it is the same one for every batch size."""
    return _chosen(is_less(a, b), b, is_less(b, a), a)


def smaller(a: Extent, b: Extent) -> Extent | None:
    """Returns min(a, b), if it is the same one for every batch size."""
    return _chosen(is_less(a, b), a, is_less(b, a), b)


def _chosen(
    less: Extent | None, if_less: Extent, more: Extent | None, if_more: Extent
) -> Extent | None:
    if less is not None:
        return if_less if less.offset else if_more
    if more is not None:
        return if_more if more.offset else if_less
    return None
