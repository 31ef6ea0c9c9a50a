"""Boxes around objects as regions, and the rest of the image in squares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from heatproof.evaluators.images.arrays import Image
from heatproof.evaluators.images.boxes import PixelBox
from heatproof.evaluators.regions.grid import GridCells
from heatproof.evaluators.regions.regions import Regions
from heatproof.evaluators.regions.segmentation import REGIONS, Segmentation
from heatproof.evaluators.regions.segmentations import Grid
from heatproof.evaluators.regions.segments import Segments
from heatproof.evaluators.registry.parameters import Range, parameter
from heatproof.evaluators.registry.registry import Facts, Reads

MOST_BOXES: Final = 1000
"""Boxes of one image, as the contract bounds them."""


@REGIONS.register
@dataclass(frozen=True, slots=True)
class Boxes(Segmentation):
    """Makes a region of each box that came with the image, and splits the rest into squares.

    A pixel in several boxes belongs to the smallest of them, and of equal ones to the first: boxes
    inside of each other become rings, as the concentric boxes of the paper do.
    """

    facts: ClassVar[Facts] = Facts(
        name="boxes",
        reference="Balasubramanian and Feizi 2022, arXiv 2211.14646",
        reads=(Reads.BOXES,),
    )

    side: int = parameter(
        14, "Cells along each side of the image, outside of the boxes.", within=Range(1, 4096)
    )

    def check(self, height: int, width: int) -> None:
        """Refuses cells smaller than a pixel."""
        Grid(self.side).check(height, width)

    def most(self, height: int, width: int) -> int:
        """All cells of the rest, and as many boxes as an image may have."""
        return min(height * width, self.side * self.side + MOST_BOXES)

    def check_coarse(self, height: int, width: int, side: int, why: str) -> None:
        """Refuses the squares at `side`; the image decides of the boxes."""
        Grid(self.side).check_coarse(height, width, side, why)

    def regions(self, image: Image) -> Regions:
        """An image without boxes: squares alone."""
        return self.regions_within(image, ())

    def regions_within(self, image: Image, boxes: Sequence[PixelBox]) -> Regions:
        """Numbers are drawn over each other, the smallest box last."""
        cells = GridCells(image.shape[1], image.shape[2], self.side)
        numbers = cells.labels.copy()
        ranked = sorted(enumerate(boxes), key=lambda held: (-held[1].area, -held[0]))
        for place, box in ranked:
            numbers[box.top : box.bottom, box.left : box.right] = cells.cells + place
        return Segments.of(numbers)
