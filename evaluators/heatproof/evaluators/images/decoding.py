"""From the bytes of an image file to upright RGB pixels, under limits.

The header is read first; nothing is decoded before its size is known to be within the limits.
Pixels are converted in strips, so that an image is held twice and never four times: once as its
file has it, once as it is used.
"""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import TiffImageFile

from heatproof.evaluators.errors import HeatproofError, InvalidImageError, LimitExceededError
from heatproof.evaluators.images.completeness import check_complete, check_pages
from heatproof.evaluators.images.sources import SourcePixels

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats as Pillow names them; its JPEG reader also takes MPO, which many phones write as .jpg."""

_GREY_16: Final = ("I;16", "I;16L", "I;16B", "I;16N")
_UNBOUNDED: Final = ("I", "F")
_PNG_EXIF: Final = (b"eXIf", b"exif", b"XML:com.adobe.xmp")
_DEEP_BYTES: Final = 12
_STRIP_PIXELS: Final = 1 << 18
_FILTERING: Final = Lock()
"""Filters of warnings are the process's: two threads would restore each other's."""
_TILE_WIDTH, _TILE_LENGTH = 322, 323
"""Tags of TIFF: a decoder takes the memory of a whole tile for the smallest image."""


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be at most, read from the header before anything is decoded.

    Attributes:
        max_pixels: width times height.
        max_side: longest side in pixels.
    """

    max_pixels: int
    max_side: int = 32_768

    @property
    def max_bytes(self) -> int:
        """Bytes of decoded pixels: 3 a pixel, 4 with transparency; 12 where one has 16 bits."""
        return 4 * self.max_pixels


def decode_image(data: bytes, limits: ImageLimits) -> SourcePixels:
    """Decodes a PNG, JPEG, WebP, BMP, TIFF or GIF file (its first frame).

    EXIF orientation is applied; alpha is laid over white; 16 bits are scaled to [0, 1] and come
    back as floats; CMYK, palette and grey become RGB.

    Raises:
        InvalidImageError: no such file, or a damaged or cut one.
        LimitExceededError: larger than the limits.
    """
    try:
        with _FILTERING, warnings.catch_warnings():
            # Files with harmless flaws in their metadata are common; oversize is checked below.
            warnings.simplefilter("ignore")
            return _decode(data, limits)
    except (HeatproofError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitExceededError(f"the image is too large: {error}; shrink it first") from error
    except Exception as error:
        # Pillow's decoders raise nearly anything on hostile bytes, and its words hold addresses.
        raise InvalidImageError(
            "the bytes are no readable image: of no known format, damaged or cut off; send a "
            f"whole {', '.join(FORMATS)} file, or pixels"
        ) from error


def _decode(data: bytes, limits: ImageLimits) -> SourcePixels:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        is_deep = _is_deep_colour(image)
        _check_size(image, limits, is_deep=is_deep)
        check_complete(data, image.format or "")
        if isinstance(image, TiffImageFile):
            check_pages(image, len(data))
        pixels = _deep_colour(data, image) if is_deep else _pixels(image)
        # Read after the pixels: TIFF's reader applies its own orientation and drops the tag.
        orientation = _orientation(data, image)
    return np.ascontiguousarray(_upright(pixels, orientation))


def _check_size(image: Image.Image, limits: ImageLimits, *, is_deep: bool) -> None:
    width, height = image.size
    tags = getattr(image, "tag_v2", {})  # of TIFF files only
    area = max(width * height, int(tags.get(_TILE_WIDTH, 0)) * int(tags.get(_TILE_LENGTH, 0)))
    depth = _bytes_per_pixel(image, is_deep=is_deep)
    decoded = area * depth
    if max(image.size) > limits.max_side or area > limits.max_pixels or decoded > limits.max_bytes:
        raise LimitExceededError(
            f"the image has {width} x {height} pixels, decoded {decoded} bytes; at most "
            f"{limits.max_pixels} pixels, {limits.max_side} a side and {limits.max_bytes} bytes "
            "are decoded: shrink it first"
            + (", or save it with 8 bits a channel" if depth == _DEEP_BYTES else ""),
            metadata={"width": str(width), "height": str(height), "bytes": str(decoded)},
        )


def _bytes_per_pixel(image: Image.Image, *, is_deep: bool) -> int:
    if is_deep or image.mode in _GREY_16:
        return _DEEP_BYTES
    return 4 if image.has_transparency_data or image.mode == "CMYK" else 3


def _strips(height: int, width: int) -> Iterator[slice]:
    """Rows that are converted together."""
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _pixels(image: Image.Image) -> SourcePixels:
    if image.mode in _GREY_16:
        return _scaled(np.asarray(image)[:, :, None])
    if image.mode in _UNBOUNDED:
        raise InvalidImageError(
            f"images of 32 bits a pixel (mode {image.mode}) have no defined range: "
            "send 8 or 16 bits, or pixels as floats in [0, 1]"
        )
    image.load()
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in _strips(*pixels.shape[:2]):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        if image.has_transparency_data:
            strip = _over_white(strip)
        pixels[rows] = np.asarray(strip.convert("RGB"))
    return pixels


def _over_white(image: Image.Image) -> Image.Image:
    overlaid = image.convert("RGBA")
    white = Image.new("RGBA", overlaid.size, "white")
    return Image.alpha_composite(white, overlaid)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether the file holds 16 bits a channel in colour, which Pillow would cut to 8."""
    tiles = getattr(image, "tile", ())  # of files only, not of images in memory
    raw_modes = [str(part) for part in _flat(tiles)]
    return image.mode not in _GREY_16 and any(";16" in mode for mode in raw_modes)


def _flat(value: object) -> list[object]:
    if isinstance(value, tuple | list):
        return [leaf for item in value for leaf in _flat(item)]
    return [value]


def _deep_colour(data: bytes, image: Image.Image) -> Float32[np.ndarray, "height width 3"]:
    decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    size = image.height, image.width
    if decoded is None or decoded.dtype != np.uint16 or decoded.shape[:2] != size:
        raise InvalidImageError("the 16-bit image is damaged or of a kind that is not read")
    return _scaled(decoded.reshape(*size, -1))


def _scaled(values: np.ndarray) -> Float32[np.ndarray, "height width 3"]:
    """Grey, BGR or BGRA of 16 bits as RGB in [0, 1], over white where it is transparent."""
    pixels = np.empty((*values.shape[:2], 3), np.float32)
    for rows in _strips(*values.shape[:2]):
        scaled = values[rows].astype(np.float32) / np.float32(65535)
        colours = scaled[:, :, :3][:, :, ::-1]
        if scaled.shape[2] == 4:
            alpha = scaled[:, :, 3:]
            colours = colours * alpha + (1 - alpha)
        pixels[rows] = colours
    return pixels


def _orientation(data: bytes, image: Image.Image) -> int | None:
    if image.format == "PNG" and not any(mark in data for mark in _PNG_EXIF):
        return None  # Pillow would decode the whole image to look for a tag behind the pixels
    return image.getexif().get(ExifTags.Base.Orientation)


def _upright(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turns pixels as EXIF says; the same eight cases as `ImageOps.exif_transpose`."""
    turned = pixels.swapaxes(0, 1) if orientation in {5, 6, 7, 8} else pixels
    if orientation in {2, 3, 6, 7}:
        turned = turned[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        turned = turned[::-1]
    return turned
