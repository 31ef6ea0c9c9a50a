"""From the bytes of an image file to upright RGB pixels, under limits."""

from dataclasses import dataclass

from heatproof.evaluators.sources import SourcePixels


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """What an image may be at most.

    Attributes:
        max_pixels: width times height, read from the header before anything is decoded.
        max_side: longest side in pixels.
    """

    max_pixels: int = 64_000_000
    max_side: int = 32_768


def decode_image(data: bytes, limits: ImageLimits = ImageLimits()) -> SourcePixels:  # frozen
    """Decodes a PNG, JPEG, WebP, BMP, TIFF or GIF file (its first frame).

    EXIF orientation is applied; alpha is laid over white; 16 bits are scaled to [0, 1]; CMYK,
    palette and grey become RGB.

    Raises:
        InvalidImageError: no such file, or a damaged one.
        LimitExceededError: larger than the limits.
    """
    raise NotImplementedError
