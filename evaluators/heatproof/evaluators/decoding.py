"""From the bytes of an image file to upright RGB pixels, under limits.

The header is read first; nothing is decoded before its size is known to be within the limits.
"""

import io
import warnings
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32
from PIL import ExifTags, Image, ImageOps

from heatproof.evaluators.errors import HeatproofError, InvalidImageError, LimitExceededError
from heatproof.evaluators.sources import SourcePixels

FORMATS: Final = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
"""Formats as Pillow names them; its JPEG reader also takes MPO, which many phones write as .jpg."""

_RGBA: Final = 4
_GREY_16: Final = ("I;16", "I;16L", "I;16B", "I;16N")


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be at most.

    Attributes:
        max_pixels: width times height, read from the header before anything is decoded.
        max_side: longest side in pixels.
    """

    max_pixels: int = 64_000_000
    max_side: int = 32_768


DEFAULT_LIMITS: Final = ImageLimits()


def decode_image(data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> SourcePixels:
    """Decodes a PNG, JPEG, WebP, BMP, TIFF or GIF file (its first frame).

    EXIF orientation is applied; alpha is laid over white; 16 bits are scaled to [0, 1] and come
    back as floats; CMYK, palette and grey become RGB.

    Raises:
        InvalidImageError: no such file, or a damaged one.
        LimitExceededError: larger than the limits.
    """
    try:
        with warnings.catch_warnings():
            # Files with harmless flaws in their metadata are common; oversize is checked below.
            warnings.simplefilter("ignore")
            return _decode(data, limits)
    except (HeatproofError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise LimitExceededError(f"the image is too large: {error}; shrink it first") from error
    except Exception as error:
        # Pillow's decoders raise nearly anything on hostile bytes.
        raise InvalidImageError(
            f"the bytes are no readable image ({type(error).__name__}: {error}); "
            f"send a {', '.join(FORMATS)} file, or pixels"
        ) from error


def _decode(data: bytes, limits: ImageLimits) -> SourcePixels:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image.size, limits)
        if _is_deep_colour(image):
            return _deep_colour(data, image)
        upright = ImageOps.exif_transpose(image)
    return _pixels(upright)


def _check_size(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if max(size) > limits.max_side or width * height > limits.max_pixels:
        raise LimitExceededError(
            f"the image has {width} x {height} pixels; at most {limits.max_pixels} pixels and "
            f"{limits.max_side} a side are decoded: shrink it first",
            metadata={"width": str(width), "height": str(height)},
        )


def _pixels(image: Image.Image) -> SourcePixels:
    if image.mode in _GREY_16:
        grey = np.asarray(image).astype(np.float32) / np.float32(65535)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in {"I", "F"}:
        raise InvalidImageError(
            f"images of 32 bits a pixel (mode {image.mode}) have no defined range: "
            "send 8 or 16 bits, or pixels as floats in [0, 1]"
        )
    if image.has_transparency_data:
        image = _over_white(image)
    return np.array(image.convert("RGB"), np.uint8)


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
    scaled = decoded.reshape(*size, -1).astype(np.float32) / np.float32(65535)
    colours = np.atleast_3d(scaled[:, :, :3])[:, :, ::-1]
    if scaled.shape[2] == _RGBA:
        alpha = scaled[:, :, 3:]
        colours = colours * alpha + (1 - alpha)
    return np.ascontiguousarray(_upright(colours, image.getexif().get(ExifTags.Base.Orientation)))


def _upright(pixels: np.ndarray, orientation: int | None) -> np.ndarray:
    """Turns pixels as EXIF says; the same eight cases as `ImageOps.exif_transpose`."""
    turned = pixels.swapaxes(0, 1) if orientation in {5, 6, 7, 8} else pixels
    if orientation in {2, 3, 6, 7}:
        turned = turned[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        turned = turned[::-1]
    return turned
