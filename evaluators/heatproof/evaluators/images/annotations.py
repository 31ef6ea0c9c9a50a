"""What came with an image, carried into the model's input frame."""

from heatproof.evaluators.errors import placed
from heatproof.evaluators.images.arrays import Image, Mask
from heatproof.evaluators.images.boxes import PixelBox, boxes_to_input, filled
from heatproof.evaluators.images.frames import mask_to_input, replacement_to_input
from heatproof.evaluators.images.preprocessing import Preprocessing
from heatproof.evaluators.images.sources import SourceImage


def object_pixels(
    image: SourceImage, boxes: tuple[PixelBox, ...], preprocessing: Preprocessing
) -> Mask | None:
    """Where the object is: its mask, or its boxes if it came without one; None without either."""
    if image.object_mask is None:
        if not image.boxes:
            return None
        return filled(boxes, preprocessing.height, preprocessing.width)
    with placed("object_mask"):
        return mask_to_input(image.object_mask, image.extents, preprocessing)


def boxes_of(image: SourceImage, preprocessing: Preprocessing) -> tuple[PixelBox, ...]:
    """The boxes of which something is left."""
    if not image.boxes:
        return ()
    return boxes_to_input(image.boxes, image.extents, preprocessing)


def replacement_of(image: SourceImage, preprocessing: Preprocessing) -> Image | None:
    """What is shown in place of the image; None if it came without."""
    if image.replacement is None:
        return None
    with placed("replacement"):
        return replacement_to_input(image.replacement, image.extents, preprocessing)
