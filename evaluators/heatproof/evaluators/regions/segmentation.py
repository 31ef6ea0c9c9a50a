"""The seam for ways to split an image into regions."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Final

from heatproof.evaluators.errors import placed
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.registry.registry import Registered, Registry
from heatproof.evaluators.removal.operator import RemovalOperator

MIN_MASKED_CELL: Final = 16
"""Smaller cells vanish from the last masks of a layer-masked network, wherever they lie."""

MIN_HOLE: Final = 8
"""Hidden cells of a smaller side close again within the first layers of a network."""

_REMEMBERED: Final = 32


class Segmentation(Registered, ABC):
    """Splits an image in the model's input frame into regions."""

    __slots__ = ()

    parameter_type: ClassVar[str] = "regions"

    @property
    def is_fixed(self) -> bool:  # most images decide
        """Whether all images of one size have the same regions, `most` of them."""
        return False

    @abstractmethod
    def check(self, height: int, width: int) -> None:
        """Refuses parameters that do not fit an input of this size.

        Raises:
            InvalidArgumentError: at the parameter.
        """

    @abstractmethod
    def most(self, height: int, width: int) -> int:
        """Upper bound of the number of regions of an image of this size."""

    @abstractmethod
    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses regions that are known to be smaller than squares of `side` pixels.

        Args:
            height: of the input, in pixels.
            width: of the input, in pixels.
            side: the least side.
            why: what is wrong with smaller ones, for the message.

        Raises:
            InvalidArgumentError: at the parameter.
        """

    @abstractmethod
    def regions(self, image: Image) -> Regions:
        """Splits an image; equal pixels give equal regions."""

    def regions_within(
        self,
        image: Image,
        boxes: Sequence[PixelBox],  # most split by pixels alone
    ) -> Regions:
        """Splits an image that came with boxes; who reads them is given one at least."""
        return self.regions(image)


REGIONS: Registry[Segmentation] = Registry("kind of regions")
"""How an image is split into the regions that are hidden together."""


def check_segmentation(
    segmentation: Segmentation, height: int, width: int, *, hidden_by: RemovalOperator | None = None
) -> None:
    """Refuses regions that do not fit the input, or that vanish inside the network.

    Args:
        segmentation: how images are split.
        height: of the input, in pixels.
        width: of the input, in pixels.
        hidden_by: the operator that hides single regions; None where many are hidden together.

    Raises:
        InvalidArgumentError: at a path such as `regions.slic.segments`.
    """
    with placed(f"regions.{segmentation.name}"):
        segmentation.check(height, width)
        if hidden_by is not None and hidden_by.masking is not None:
            why = f"with {hidden_by.name} such cells vanish inside the network"
            segmentation.check_coarse(height, width, MIN_MASKED_CELL, why)


def check_holes(
    segmentation: Segmentation, height: int, width: int, hidden_by: RemovalOperator
) -> None:
    """Refuses regions that do not fit the input, or whose holes close again inside the network.

    Args:
        segmentation: how images are split.
        height: of the input, in pixels.
        width: of the input, in pixels.
        hidden_by: the operator that hides some of the regions.

    Raises:
        InvalidArgumentError: at a path such as `regions.grid.side`.
    """
    check_segmentation(segmentation, height, width)
    if hidden_by.masking is not None:
        why = f"with {hidden_by.name} smaller holes close again inside the network"
        with placed(f"regions.{segmentation.name}"):
            segmentation.check_coarse(height, width, MIN_HOLE, why)


@dataclass(frozen=True, slots=True)
class _Source:
    """An image, known by its key."""

    key: str
    draw: Callable[[], Image] = field(compare=False)
    boxes: tuple[PixelBox, ...] = ()


def split(
    segmentation: Segmentation,
    key: str,
    draw: Callable[[], Image],
    boxes: tuple[PixelBox, ...] = (),
) -> Regions:
    """Splits an image that is known by its key; lately split ones are remembered."""
    return _remembered(segmentation, _Source(key, draw, boxes))


@lru_cache(maxsize=_REMEMBERED)
def _remembered(segmentation: Segmentation, source: _Source) -> Regions:
    return segmentation.regions_within(source.draw(), source.boxes)
