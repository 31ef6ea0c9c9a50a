"""Images with their labels out of what training code holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from heatproof.client.documents.images import ImageSource, Picture
from heatproof.client.documents.reading.tensors import as_array
from heatproof.client.errors import UsageError

LAYOUTS: Final = {"HWC": (0, 1, 2), "CHW": (1, 2, 0)}
"""Where the axes [height, width, channels] of an image are, by the name of its layout."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images and their labels, for `images=` and `labels=`.

    Attributes:
        images: arrays [height, width, 3], Pillow images, paths or bytes.
        labels: class indices in the order of the images; None where none came with them.
    """

    images: Sequence[ImageSource]
    labels: Sequence[int] | None

    @classmethod
    def of(
        cls,
        source: Iterable[Any],
        *,
        layout: str = "HWC",
        limit: int | None = None,
        image: str = "image",
        label: str = "label",
    ) -> Self:
        """Reads images, (image, label) pairs, rows of a table, batches, or a data set of MAITE.

        Values are as Heatproof takes them, uint8 or floats in [0, 1]: leave mean and standard
        deviation to `preprocessing`.

        Args:
            source: a data set of torch or torchvision, a DataLoader, a data set of Hugging Face,
                whose rows are mappings, one of MAITE (`layout="CHW"`), whose targets have a value a
                class, or any iterable of these kinds; arrays and tensors of four axes are batches.
            layout: of arrays and tensors: `HWC` [height, width, channels] or `CHW`.
            limit: most images to take; None: all.
            image: name of the image in a row.
            label: name of the label in a row; a row may lack it.

        Raises:
            UsageError: an unknown layout, no images, rows without images, or labels for some only.
        """
        if layout not in LAYOUTS:
            raise UsageError(f"unknown layout {layout!r}; known: {', '.join(LAYOUTS)}")
        pairs = chain.from_iterable(_pairs(item, image, label) for item in _items(source))
        found = list(islice(pairs, limit))
        if not found:
            raise UsageError("there are no images: give at least one")
        labels = [known for _, known in found if known is not None]
        if labels and len(labels) < len(found):
            raise UsageError(
                f"{len(labels)} of {len(found)} images have a label: give all of them one, or none"
            )
        return cls([_laid_out(one, layout) for one, _ in found], labels or None)


def _items(source: Any) -> Iterator[Any]:  # noqa: ANN401  # whatever has items
    """The items in their order; MAITE asks a data set for a length and no more."""
    if hasattr(source, "__iter__"):
        yield from source
    else:
        yield from (source[index] for index in range(len(source)))


def _pairs(item: Any, image: str, label: str) -> list[tuple[Any, int | None]]:  # noqa: ANN401  # whatever a loader yields
    """The images of an item, each with its label or None."""
    if isinstance(item, Mapping):
        if image not in item:
            raise UsageError(f"a row has no {image!r} but {', '.join(item)}: say image=NAME")
        item = (item[image], item.get(label))
    if isinstance(item, tuple) and len(item) == 3 and isinstance(item[2], Mapping):
        return [(item[0], _largest(item[1]))]  # image, target and metadata, as MAITE has it
    pixels, known = item if isinstance(item, tuple | list) and len(item) == 2 else (item, None)
    if getattr(pixels, "ndim", 0) != 4:  # axes of a batch
        return [(pixels, None if known is None else _index(known))]
    known = [None] * len(pixels) if known is None else [_index(one) for one in known]
    return list(zip(pixels, known, strict=True))


def _largest(target: Any) -> int:  # noqa: ANN401  # whatever holds numbers
    """The class of a target that has a value for each: a one, or the most probable."""
    values = as_array(target)
    if values.ndim != 1 or not values.size:
        raise UsageError(f"a target of MAITE has a value a class, and not {list(values.shape)}")
    return int(values.argmax())


def _laid_out(image: Any, layout: str) -> ImageSource:  # noqa: ANN401  # whatever an item holds
    if isinstance(image, Picture | str | bytes) or not hasattr(image, "__array__"):
        source: ImageSource = image
        return source
    array: NDArray[Any] = as_array(image)
    if array.ndim != 3:
        raise UsageError(f"an image has three axes, {layout}, and not {list(array.shape)}")
    return np.ascontiguousarray(array.transpose(LAYOUTS[layout]))


def _index(label: Any) -> int:  # noqa: ANN401  # whatever a loader yields
    try:
        return int(label)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"the label {label!r} is no index of a class: give the indices that the model has"
        ) from error
