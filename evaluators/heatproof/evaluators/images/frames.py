"""The way from an image's own frame into the model's input, for pixels, maps and masks.

Sizes follow torchvision: the shortest side becomes `floor(input side / crop_fraction)`, the other
one is truncated, and the centre crop starts at the rounded half of the surplus. Inputs that are not
square are covered: the side that needs the larger factor decides. Pixels are resampled by Pillow,
whose filters are antialiased; maps by its bilinear filter written in float64, for the rounding of
Pillow's float32 would order equal cells.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import scipy
from jaxtyping import Float64
from PIL import Image as Pillow

from heatproof.evaluators.errors import InvalidArgumentError, InvalidImageError
from heatproof.evaluators.images.arrays import Image, Map, Mask, require_unit
from heatproof.evaluators.images.preprocessing import Filter, Preprocessing, Resize
from heatproof.evaluators.images.sources import (
    Frame,
    FramedMap,
    FramedMask,
    FramedPixels,
    SourcePixels,
)

_FILTERS: Final = {
    Filter.BILINEAR: Pillow.Resampling.BILINEAR,
    Filter.BICUBIC: Pillow.Resampling.BICUBIC,
    Filter.LANCZOS: Pillow.Resampling.LANCZOS,
    Filter.NEAREST: Pillow.Resampling.NEAREST,
}

_MAX_RESIZED_PIXELS: Final = 1 << 26
"""A sliver of an image, resized by its shortest side, must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a source frame becomes the input frame: resized, then cropped.

    Attributes:
        resized_height: height after the resize.
        resized_width: width after the resize.
        top: first row of the crop.
        left: first column of the crop.
        height: height of the input.
        width: width of the input.
    """

    resized_height: int
    resized_width: int
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, source: tuple[int, int], preprocessing: Preprocessing) -> "Geometry":
        """Finds the way of an image of (height, width).

        Raises:
            InvalidImageError: its size cannot become the input's.
        """
        resized = _resized(source, preprocessing)
        if resized[0] * resized[1] > _MAX_RESIZED_PIXELS:
            raise InvalidImageError(
                f"an image of {source[1]} x {source[0]} pixels would be resized to "
                f"{resized[1]} x {resized[0]}: crop it to a less extreme shape first"
            )
        height, width = preprocessing.height, preprocessing.width
        top, left = round((resized[0] - height) / 2), round((resized[1] - width) / 2)
        return cls(*resized, top, left, height, width)

    def carry(self, plane: Pillow.Image, resample: Pillow.Resampling) -> Pillow.Image:
        """Resizes and crops one plane, whatever its own size: it lies over the whole source."""
        resized = plane.resize((self.resized_width, self.resized_height), resample)
        return resized.crop((self.left, self.top, self.left + self.width, self.top + self.height))

    def carry_map(self, plane: Float64[np.ndarray, "rows columns"]) -> Map:
        """Resizes and crops a map bilinearly, whatever its size; one of the size keeps its bits."""
        high, wide = plane.shape
        rows = _weights(high, self.resized_height, self.top, self.height)
        columns = _weights(wide, self.resized_width, self.left, self.width)
        # Of a sliver, one of the two orders would make a plane that fills the memory.
        rows_first = self.height * wide <= high * self.width
        carried = columns @ (rows @ plane).T if rows_first else (rows @ (columns @ plane.T).T).T
        return np.ascontiguousarray(carried.T)


def _weights(
    source: int, resized: int, first: int, count: int
) -> "scipy.sparse.csr_array[np.float64]":
    """Of every source pixel in `count` resized ones: a triangle, wider where pixels are merged."""
    scale = source / resized
    reach = max(scale, 1.0)
    centres = (np.arange(first, first + count)[:, None] + 0.5) * scale
    near = np.arange(ceil(2 * reach) + 1)
    places = np.floor(centres - reach).astype(np.int64) + near
    weights = np.maximum(1 - np.abs(places + 0.5 - centres) / reach, 0.0)
    weights[(places < 0) | (places >= source)] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.arange(count + 1) * near.size
    indices = places.clip(0, source - 1).ravel()
    held = weights.ravel(), indices, starts
    return scipy.sparse.csr_array(held, shape=(count, source), dtype=np.float64)


def _resized(source: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    target = preprocessing.height, preprocessing.width
    if preprocessing.resize is Resize.STRETCH:
        return target
    if preprocessing.resize is Resize.NONE:
        if source != target:
            raise InvalidImageError(
                f"the image has {source[1]} x {source[0]} pixels, the model takes "
                f"{target[1]} x {target[0]}: choose a resize other than none"
            )
        return target
    height, width = source
    # The fractions are decimal: 224 / 0.7 must be 320, not 319.99...
    fraction = preprocessing.crop_fraction
    wanted_height, wanted_width = (int(side / fraction + 1e-6) for side in target)
    if wanted_height * width >= wanted_width * height:
        return wanted_height, wanted_height * width // height
    return wanted_width * height // width, wanted_width


def image_to_input(pixels: SourcePixels, preprocessing: Preprocessing) -> Image:
    """Resizes and crops pixels; `preprocessing` has its height and width set.

    Raises:
        InvalidImageError: the size cannot become the input's, or floats lie outside [0, 1].
    """
    geometry = Geometry.of((pixels.shape[0], pixels.shape[1]), preprocessing)
    return _carried(pixels, geometry, _FILTERS[preprocessing.filter])


def replacement_to_input(
    replacement: FramedPixels, source: tuple[int, int], preprocessing: Preprocessing
) -> Image:
    """Carries what is shown in place of an image of (height, width), filtered as the image is.

    Pixels whose extents differ from their frame's are stretched over it.

    Raises:
        InvalidImageError: as `image_to_input`.
    """
    if replacement.frame is Frame.MODEL_INPUT:
        height, width = preprocessing.height, preprocessing.width
        geometry = Geometry(height, width, 0, 0, height, width)
    else:
        geometry = Geometry.of(source, preprocessing)
    return _carried(replacement.pixels, geometry, _FILTERS[preprocessing.filter])


def _carried(pixels: SourcePixels, geometry: Geometry, resample: Pillow.Resampling) -> Image:
    if pixels.dtype == np.uint8:
        carried = geometry.carry(Pillow.fromarray(pixels), resample)
        scaled = np.asarray(carried).astype(np.float32) / np.float32(255)
        return np.ascontiguousarray(scaled.transpose(2, 0, 1))
    require_unit(pixels)
    planes = [_carry_floats(pixels[:, :, channel], geometry, resample) for channel in range(3)]
    carried_planes: Image = np.clip(np.stack(planes), 0, 1)
    return carried_planes


def _carry_floats(plane: np.ndarray, geometry: Geometry, resample: Pillow.Resampling) -> np.ndarray:
    carried = geometry.carry(Pillow.fromarray(np.ascontiguousarray(plane, np.float32)), resample)
    return np.asarray(carried, np.float32)


def map_to_input(
    attribution: FramedMap, source: tuple[int, int], preprocessing: Preprocessing
) -> Map:
    """Carries a map into the input frame, bilinearly; `source` is the image's (height, width).

    Channels are summed first. A map whose extents differ from its frame's is stretched over it.

    Raises:
        InvalidArgumentError: a value is not finite.
    """
    values = attribution.values.astype(np.float64)
    if not np.isfinite(values).all():
        raise InvalidArgumentError("the attribution map holds NaN or infinity", field="values")
    summed = values if values.ndim == 2 else values.sum(axis=0)
    if attribution.frame is Frame.MODEL_INPUT:
        return stretched(summed, preprocessing.height, preprocessing.width)
    return Geometry.of(source, preprocessing).carry_map(summed)


def stretched(values: Float64[np.ndarray, "rows columns"], height: int, width: int) -> Map:
    """Resizes a map bilinearly; one of the wanted size keeps its bits."""
    return Geometry(height, width, 0, 0, height, width).carry_map(values)


def mask_to_input(mask: FramedMask, source: tuple[int, int], preprocessing: Preprocessing) -> Mask:
    """Carries a mask into the input frame, by nearest pixels."""
    plane = Pillow.fromarray(mask.values.astype(np.uint8))
    if mask.frame is Frame.MODEL_INPUT:
        size = preprocessing.width, preprocessing.height
        return np.asarray(plane.resize(size, Pillow.Resampling.NEAREST)) > 0
    geometry = Geometry.of(source, preprocessing)
    return np.asarray(geometry.carry(plane, Pillow.Resampling.NEAREST)) > 0
