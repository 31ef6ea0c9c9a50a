"""The way from an image's own frame into the model's input, for pixels, maps and masks."""

import numpy as np
from jaxtyping import Bool

from heatproof.evaluators.arrays import Image, Map
from heatproof.evaluators.preprocessing import Preprocessing
from heatproof.evaluators.sources import FramedMap, FramedMask, SourcePixels


def image_to_input(pixels: SourcePixels, preprocessing: Preprocessing) -> Image:
    """Resizes and crops pixels; `preprocessing` has its height and width set."""
    raise NotImplementedError


def map_to_input(
    attribution: FramedMap, source: tuple[int, int], preprocessing: Preprocessing
) -> Map:
    """Carries a map into the input frame, bilinearly; `source` is the image's (height, width)."""
    raise NotImplementedError


def mask_to_input(
    mask: FramedMask, source: tuple[int, int], preprocessing: Preprocessing
) -> Bool[np.ndarray, "height width"]:
    """Carries a mask into the input frame, by nearest pixels."""
    raise NotImplementedError
