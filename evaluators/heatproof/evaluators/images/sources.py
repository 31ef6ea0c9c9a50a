"""Images with what is known about them, as they come from the caller."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from heatproof.evaluators.images.labels import Label


class Frame(StrEnum):
    """What maps, masks and boxes are laid over."""

    SOURCE = "source"
    MODEL_INPUT = "model_input"


SourcePixels: TypeAlias = (
    UInt8[np.ndarray, "rows columns 3"] | Float32[np.ndarray, "rows columns 3"]
)
"""Upright RGB: bytes, or floats in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class FramedMap:
    """An attribution map in its frame; stretched over it if the extents differ.

    Attributes:
        frame: what the map is laid over.
        values: [height, width], or [channels, height, width], which are summed over the channels.
    """

    frame: Frame
    values: Float32[np.ndarray, "*channels rows columns"]


@dataclass(frozen=True, slots=True, eq=False)
class FramedMask:
    """Marks pixels of an object, or visible pixels, in its frame.

    Attributes:
        frame: what the mask is laid over.
        values: the marks.
        digest: SHA-256 of what was uploaded with the frame; "" if nobody compares masks.
    """

    frame: Frame
    values: Bool[np.ndarray, "rows columns"]
    digest: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FramedPixels:
    """What is shown in place of an image, in its frame; stretched over it if the extents differ.

    Attributes:
        frame: what the pixels are laid over.
        pixels: upright RGB.
    """

    frame: Frame
    pixels: SourcePixels


@dataclass(frozen=True, slots=True)
class FramedBox:
    """Pixel columns [left, right) and rows [top, bottom) in its frame."""

    frame: Frame
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, eq=False)
class DonorImage:
    """Another image of the data set.

    Attributes:
        digest: SHA-256 of its bytes.
        read: decodes it.
    """

    digest: str
    read: Callable[[], SourcePixels]


@dataclass(frozen=True, slots=True, eq=False)
class SourceImage:
    """One image as uploaded.

    Attributes:
        digest: SHA-256 of the image's bytes, 64 hexadecimal digits.
        display_name: name to show.
        pixels: upright RGB.
        label: the true class, or all classes that it shows.
        object_mask: where the object is.
        boxes: boxes around objects.
        attribution_maps: maps made by the caller, by name.
        replacement: what is shown in place of the image where parts of it are removed.
        group: what it has in common with others (patient, scene, camera); "" for none.
        donors: other images by a seeded draw, as many as the evaluation reads; () where there is
            none.
        same_label_donors: more of its own label, as many as the evaluation reads and there are.
        other_label_donors: more of other labels, likewise.
        partner: the other image of its disjoint pair, if the evaluation reads other images; None
            for one that is left over.
        leads_pair: whether it is the one that carries what is scored of the pair.
    """

    digest: str
    display_name: str
    pixels: SourcePixels
    label: Label | None = None
    object_mask: FramedMask | None = None
    boxes: tuple[FramedBox, ...] = ()
    attribution_maps: Mapping[str, FramedMap] = field(default_factory=dict)
    replacement: FramedPixels | None = None
    group: str = ""
    donors: tuple[DonorImage, ...] = ()
    same_label_donors: tuple[DonorImage, ...] = ()
    other_label_donors: tuple[DonorImage, ...] = ()
    partner: DonorImage | None = None
    leads_pair: bool = False

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of the pixels as they came."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def objects_digest(self) -> str:
        """See `objects_digest`."""
        return objects_digest(
            "" if self.object_mask is None else self.object_mask.digest, self.boxes
        )


def objects_digest(mask: str, boxes: tuple[FramedBox, ...]) -> str:
    """SHA-256 of what says where the object is: the mask's own, or with boxes that of both."""
    return hashlib.sha256(f"{mask}/{boxes}".encode()).hexdigest() if boxes else mask
