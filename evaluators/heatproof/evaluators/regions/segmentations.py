"""Ways to split an image: squares, pixels, and segments of like colour."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Final, cast

import numpy as np
import skimage

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.regions.patches import PatchCells
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.regions.segmentation import REGIONS, Segmentation
from heatproof.evaluators.regions.segments import Segments
from heatproof.evaluators.registry.parameters import Range, at_most, parameter
from heatproof.evaluators.registry.registry import Facts

_LEAST_PIXELS: Final = 16
"""Segments of fewer pixels on average have no shape of their own."""

_FEWEST: Final = 2
"""Segments that SLIC may be asked for."""

_PAINT: Final = "choose an operator that paints pixels"

_MOST_A_SEGMENT: Final = 4
"""SLIC makes at most this many times the segments that it is asked for: it rounds the step between
their first centres, and cuts off parts of down to half the mean size that hang together with no
other."""


class _Squares(Segmentation):
    """Splits all images of one size into the same squares, row by row."""

    __slots__ = ()

    @property
    def is_fixed(self) -> bool:
        """Of any image as many."""
        return True

    @abstractmethod
    def squares(self, height: int, width: int) -> Regions:
        """The squares of an image of this size."""

    def most(self, height: int, width: int) -> int:
        """All squares."""
        return self.squares(height, width).cells

    def regions(self, image: Image) -> Regions:
        """Squares, row by row."""
        return self.squares(image.shape[1], image.shape[2])


def _require_within(side: int, height: int, width: int) -> None:
    """Refuses more cells along a side than it has pixels, or larger ones than there is room."""
    if side > min(height, width):
        raise InvalidArgumentError(
            f"side is {side}, but the input has {width} x {height} pixels: at most "
            f"{min(height, width)}",
            field="side",
        )


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Grid(_Squares):
    """Splits the image into squares."""

    facts: ClassVar[Facts] = Facts(name="grid", reference="Heatproof")

    side: int = parameter(14, "Cells along each side of the image.", within=Range(1, 4096))

    def check(self, height: int, width: int) -> None:
        """Refuses cells smaller than a pixel."""
        _require_within(self.side, height, width)

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses at `side`."""
        if GridCells(height, width, self.side).smallest < side:
            raise InvalidArgumentError(
                f"side is {self.side}, which makes cells under {side} pixels, and {why}: "
                f"{at_most(min(height, width) // side, least=1, otherwise=_PAINT)}",
                field="side",
            )

    def squares(self, height: int, width: int) -> Regions:
        """So many along each side."""
        return GridCells(height, width, self.side)


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Patches(_Squares):
    """Splits the image into squares of a given number of pixels, from the top left corner on."""

    facts: ClassVar[Facts] = Facts(name="patches", reference="Heatproof")

    side: int = parameter(8, "Side of a square, in pixels.", within=Range(1, 4096))

    def check(self, height: int, width: int) -> None:
        """Refuses squares that are larger than the input."""
        _require_within(self.side, height, width)

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses at `side`; what is left at the end of the image may be smaller."""
        if self.side < side:
            raise InvalidArgumentError(
                f"side is {self.side} pixels, and {why}: at least {side}", field="side"
            )

    def squares(self, height: int, width: int) -> Regions:
        """Of so many pixels."""
        return PatchCells(height, width, self.side)


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Pixels(_Squares):
    """Makes a region of every pixel."""

    facts: ClassVar[Facts] = Facts(name="pixels", reference="Heatproof")

    def check(self, height: int, width: int) -> None:
        """Fits every input."""

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses any side but 1; pixels have no parameter that makes them coarser."""
        if side > 1:
            raise InvalidArgumentError(f"single pixels are too small, for {why}: choose patches")

    def squares(self, height: int, width: int) -> Regions:
        """Of one pixel."""
        return PatchCells(height, width, 1)


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Slic(Segmentation):
    """Splits the image into segments of like colour and size by k-means in colour and place."""

    facts: ClassVar[Facts] = Facts(
        name="slic", reference="Achanta et al. 2012, doi 10.1109/TPAMI.2012.120"
    )

    segments: int = parameter(50, "About how many segments.", within=Range(_FEWEST, 4096))
    compactness: float = parameter(
        10.0,
        "Weight of the place against the colour: higher makes squarer segments.",
        within=Range(0, 1000, lower_included=False),
    )

    def check(self, height: int, width: int) -> None:
        """Refuses segments of fewer than 16 pixels."""
        most = height * width // _LEAST_PIXELS
        if self.segments > most:
            raise InvalidArgumentError(
                f"segments is {self.segments}, but the input has {width} x {height} pixels, and a "
                f"segment {_LEAST_PIXELS} at least: "
                f"{at_most(most, least=_FEWEST, otherwise='choose grid or pixels')}",
                field="segments",
            )

    def most(self, height: int, width: int) -> int:
        """Four times the segments asked for, and no more than pixels."""
        return min(height * width, _MOST_A_SEGMENT * self.segments)

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses at `segments`, by the mean area."""
        most = height * width // side**2
        if self.segments > most:
            raise InvalidArgumentError(
                f"segments is {self.segments}, which makes segments under {side} x {side} pixels, "
                f"and {why}: {at_most(most, least=_FEWEST, otherwise=_PAINT)}",
                field="segments",
            )

    def regions(self, image: Image) -> Regions:
        """Segments in CIELAB, as scikit-image finds them."""
        labels = skimage.segmentation.slic(
            _colours(image),
            n_segments=self.segments,
            compactness=self.compactness,
            sigma=0,
            start_label=0,
        )
        return Segments.of(labels)


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Quickshift(Segmentation):
    """Splits the image into segments of like colour by modes of density, as many as it has."""

    facts: ClassVar[Facts] = Facts(
        name="quickshift",
        reference="Vedaldi and Soatto 2008, doi 10.1007/978-3-540-88693-8_52",
    )

    kernel: float = parameter(
        4.0, "Width of the kernel of the density, in pixels.", within=Range(1, 20)
    )
    distance: float = parameter(
        200.0,
        "Greatest distance in colour and place that is joined.",
        within=Range(0, 10_000, lower_included=False),
    )
    ratio: float = parameter(
        0.2,
        "Weight of the colour against the place.",
        within=Range(0, 1, lower_included=False),
    )

    def check(self, height: int, width: int) -> None:
        """Fits every input."""

    def most(self, height: int, width: int) -> int:
        """As many as pixels."""
        return height * width

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses nothing: the image decides."""

    def regions(self, image: Image) -> Regions:
        """Segments in CIELAB, as scikit-image finds them; ties of density fall by seed 0."""
        # scikit-image guesses its types from defaults, and takes floats.
        labels = cast("Any", skimage.segmentation.quickshift)(
            _colours(image),
            kernel_size=self.kernel,
            max_dist=self.distance,
            ratio=self.ratio,
            sigma=0,
            rng=0,
        )
        return Segments.of(labels)


def _colours(image: Image) -> np.ndarray:
    """Rows, columns and channels, in float64."""
    return np.ascontiguousarray(image.transpose(1, 2, 0), np.float64)
