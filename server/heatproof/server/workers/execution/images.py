"""Reads images, with their masks, maps and replacements."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from heatproof.evaluators.errors import (
    HeatproofError,
    InvalidImageError,
    placed,
)
from heatproof.evaluators.images.decoding import ImageLimits, decode_image
from heatproof.evaluators.images.sources import (
    DonorImage,
    FramedMap,
    FramedMask,
    FramedPixels,
    SourceImage,
    SourcePixels,
)
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.file_access import FileAccess, read_content
from heatproof.server.workers.inputs import (
    ArraySource,
    EncodedSource,
    FramedSource,
    StoredDonor,
    StoredImage,
)
from heatproof.server.workers.tasks import CheckImages, ImageFacts

_DTYPES: Final[Mapping[str, np.dtype[Any]]] = {"uint8": np.dtype("u1"), "float32": np.dtype("<f4")}
_PIXELS_RANK: Final = 3
_CHANNELS: Final = 3
_MASK_RANK: Final = 2
_MAP_RANKS: Final = (2, 3)
_MAP_CHANNELS: Final = 4
"""The most channels that the last axis of a map is taken for."""


@dataclass(frozen=True, slots=True)
class ImageAccess:
    """How a worker reads images.

    Attributes:
        limits: what an image may be at most.
        blobs: where its bytes are.
    """

    limits: ImageLimits
    blobs: FileAccess


def image_access(context: TaskContext) -> ImageAccess:
    """How a task reads images."""
    return ImageAccess(context.model_cache.image_limits, context.blobs)


def check_images(task: CheckImages, context: TaskContext) -> tuple[ImageFacts, ...]:
    """Decodes every image with all that came with it and forgets all but the extents."""
    facts: list[ImageFacts] = []
    for index, image in enumerate(task.images, task.first):
        context.report(f"decoding image {index}, {image.display_name!r}", images=len(facts))
        with placed(f"images[{index}]"), _named(image):
            pixels = read_image(image, image_access(context)).pixels
        facts.append(ImageFacts(height=pixels.shape[0], width=pixels.shape[1]))
    return tuple(facts)


def lazily_read(
    images: Sequence[StoredImage], access: ImageAccess, on_fetch: Callable[[int], None]
) -> Sequence[SourceImage]:
    """Images that are read when they are fetched, and not kept.

    Args:
        images: what to read.
        access: how they are read.
        on_fetch: called with the index of an image that is about to be read.
    """
    return _LazyImages(images, access, on_fetch)


class _LazyImages(Sequence[SourceImage]):
    def __init__(
        self, images: Sequence[StoredImage], access: ImageAccess, on_fetch: Callable[[int], None]
    ) -> None:
        self._images = images
        self._access = access
        self._on_fetch = on_fetch

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> SourceImage: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[SourceImage]: ...

    def __getitem__(self, index: int | slice) -> SourceImage | Sequence[SourceImage]:
        if isinstance(index, slice):
            message = "images are read one at a time"
            raise TypeError(message)
        image = self._images[index]
        self._on_fetch(index)
        with placed(f"images[{index}]"), _named(image):
            return read_image(image, self._access)


@contextmanager
def _named(image: StoredImage | StoredDonor) -> Iterator[None]:
    """Errors raised inside get the name of their image."""
    try:
        yield
    except HeatproofError as error:
        if not image.display_name:
            raise
        named = f"{image.display_name!r}: {error.message}"
        raise type(error)(named, field=error.field, metadata=error.metadata) from error


def read_image(image: StoredImage, access: ImageAccess) -> SourceImage:
    """Reads an image with its mask, maps and replacement.

    Raises:
        InvalidImageError: bytes that are no image, mask or map; names the field.
        LimitExceededError: the image is larger than the limits.
    """
    return SourceImage(
        digest=image.digest,
        display_name=image.display_name,
        pixels=_pixels(image.pixels, access),
        label=image.label,
        object_mask=_object_mask(image, access),
        boxes=image.boxes,
        attribution_maps=_attribution_maps(image, access),
        replacement=_replacement(image, access),
        group=image.group,
        donors=_donors(image.donors, access),
        same_label_donors=_donors(image.same_label_donors, access),
        other_label_donors=_donors(image.other_label_donors, access),
        partner=None if image.partner is None else _donor(image.partner, access),
        leads_pair=image.leads_pair,
    )


def _donors(donors: Sequence[StoredDonor], access: ImageAccess) -> tuple[DonorImage, ...]:
    return tuple(_donor(donor, access) for donor in donors)


def _donor(donor: StoredDonor, access: ImageAccess) -> DonorImage:
    return DonorImage(donor.digest, partial(_donor_pixels, donor, access))


def _donor_pixels(donor: StoredDonor, access: ImageAccess) -> SourcePixels:
    with _named(donor):
        return _pixels(donor.pixels, access)


def _object_mask(image: StoredImage, access: ImageAccess) -> FramedMask | None:
    with placed("object_mask"):
        return None if image.object_mask is None else read_mask(image.object_mask, access)


def _replacement(image: StoredImage, access: ImageAccess) -> FramedPixels | None:
    found = image.replacement
    with placed("replacement"):
        return None if found is None else FramedPixels(found.frame, _pixels(found.source, access))


def _attribution_maps(image: StoredImage, access: ImageAccess) -> dict[str, FramedMap]:
    maps: dict[str, FramedMap] = {}
    for index, (name, framed) in enumerate(image.attribution_maps.items()):
        with placed(f"attribution_maps[{index}]"):
            maps[name] = read_map(framed, access)
    return maps


def _pixels(source: EncodedSource | ArraySource, access: ImageAccess) -> SourcePixels:
    if isinstance(source, EncodedSource):
        return decode_image(read_content(source.content, access.blobs), access.limits)
    pixels = read_array(source, access.blobs)
    if pixels.ndim != _PIXELS_RANK or pixels.shape[2] != _CHANNELS:
        raise InvalidImageError(f"pixels must be [height, width, 3], not {list(pixels.shape)}")
    if pixels.dtype == np.float32 and not _lies_in_unit_interval(pixels):
        raise InvalidImageError("float pixels must lie in [0, 1]", field="pixels")
    return pixels


def _lies_in_unit_interval(pixels: NDArray[np.float32]) -> bool:
    return bool(((pixels >= 0) & (pixels <= 1)).all())  # NaN does neither


def mask_digest(framed: FramedSource, blobs: FileAccess) -> str:
    """SHA-256 of a mask as it was uploaded, with its frame."""
    source = framed.source
    form = f"{source.dtype}{source.shape}" if isinstance(source, ArraySource) else "encoded"
    digest = hashlib.sha256(f"{framed.frame}/{form}/".encode())
    digest.update(read_content(source.content, blobs))
    return digest.hexdigest()


def read_mask(framed: FramedSource, access: ImageAccess) -> FramedMask:
    """Reads the mask of an object: what is not zero in any colour channel."""
    if isinstance(framed.source, EncodedSource):
        colours = decode_image(read_content(framed.source.content, access.blobs), access.limits)
        return FramedMask(
            framed.frame, (colours != 0).any(axis=2), mask_digest(framed, access.blobs)
        )
    values = read_array(framed.source, access.blobs)
    if values.ndim != _MASK_RANK:
        raise InvalidImageError(f"a mask must be [height, width], not {list(values.shape)}")
    return FramedMask(framed.frame, values != 0, mask_digest(framed, access.blobs))


def read_map(framed: FramedSource, access: ImageAccess) -> FramedMap:
    """Reads an attribution map.

    Raises:
        InvalidImageError: it is no float tensor of 2 or 3 axes, or not finite.
    """
    if isinstance(framed.source, EncodedSource):
        raise InvalidImageError("an attribution map must be a tensor, not an image file")
    values = read_array(framed.source, access.blobs)
    if values.dtype != np.float32 or values.ndim not in _MAP_RANKS:
        raise InvalidImageError(
            "an attribution map must be float32 [height, width] or [channels, height, width], not "
            f"{values.dtype} {list(values.shape)}"
        )
    if values.ndim == _MAP_RANKS[-1] and values.shape[2] <= _MAP_CHANNELS < min(values.shape[:2]):
        raise InvalidImageError(
            f"an attribution map of {list(values.shape)} has its channels last; send "
            "[channels, height, width], or their sum [height, width]"
        )
    if not np.isfinite(values).all():
        raise InvalidImageError("an attribution map must be finite; replace its NaN and inf")
    return FramedMap(framed.frame, values)


def read_array(source: ArraySource, blobs: FileAccess) -> NDArray[Any]:
    """Reads a tensor.

    Raises:
        InvalidImageError: its bytes do not fit its type and shape.
    """
    dtype, data = _DTYPES[source.dtype], read_content(source.content, blobs)
    if len(data) != math.prod(source.shape) * dtype.itemsize:
        raise InvalidImageError(
            f"{len(data)} bytes are no {source.dtype} tensor {list(source.shape)}; upload it again"
        )
    values: NDArray[Any] = np.frombuffer(data, dtype).reshape(source.shape)
    return values
