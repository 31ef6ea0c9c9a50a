"""Boxes around objects, in the model's input frame."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np

from heatproof.evaluators.images.arrays import Mask
from heatproof.evaluators.images.frames import Geometry
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import Frame, FramedBox


@dataclass(frozen=True, slots=True)
class PixelBox:
    """Pixel columns [left, right) and rows [top, bottom) of the input; at least one pixel."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Its pixels."""
        return (self.right - self.left) * (self.bottom - self.top)


def boxes_to_input(
    boxes: Iterable[FramedBox], source: tuple[int, int], preprocessing: Preprocessing
) -> tuple[PixelBox, ...]:
    """Carries boxes into the input frame; those of which no pixel is left drop out.

    A box holds the pixels whose centres lie in it.

    Args:
        boxes: in their frames.
        source: height and width of the image as it came.
        preprocessing: with its size set.

    Raises:
        InvalidImageError: the image's size cannot become the input's.
    """
    return tuple(_carried(boxes, source, preprocessing))


def filled(boxes: Iterable[PixelBox], height: int, width: int) -> Mask:
    """The pixels that lie in one of the boxes."""
    inside = np.zeros((height, width), np.bool_)
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    return inside


def _carried(
    boxes: Iterable[FramedBox], source: tuple[int, int], preprocessing: Preprocessing
) -> Iterator[PixelBox]:
    geometry = Geometry.of(source, preprocessing)
    rows = geometry.resized_height / source[0]
    columns = geometry.resized_width / source[1]
    for box in boxes:
        if box.frame is Frame.MODEL_INPUT:
            horizontal, vertical = (box.left, box.right), (box.top, box.bottom)
        else:
            horizontal = (box.left * columns - geometry.left, box.right * columns - geometry.left)
            vertical = (box.top * rows - geometry.top, box.bottom * rows - geometry.top)
        left, right = _pixels(*horizontal, geometry.width)
        top, bottom = _pixels(*vertical, geometry.height)
        if left < right and top < bottom:
            yield PixelBox(left, top, right, bottom)


def _pixels(first: float, last: float, extent: int) -> tuple[int, int]:
    """The pixels whose centres lie in [first, last), and in the image."""
    return max(0, ceil(first - 0.5)), min(extent, ceil(last - 0.5))
