"""Results of images on their way from a worker to the store."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImageRow:
    """Result of one image, as serialised `ImageResult` messages.

    Attributes:
        basic: without curves, overlays and input pictures.
        curves: without overlays and input pictures.
        overlays: nothing but these pictures; `curves + overlays` is the whole message.
    """

    basic: bytes
    curves: bytes
    overlays: bytes
