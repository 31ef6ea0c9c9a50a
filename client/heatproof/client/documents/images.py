"""Images of many kinds become messages: files, folders, arrays, pictures, bytes."""

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from heatproof.client.documents.reading.tensors import as_array
from heatproof.client.errors import UsageError
from heatproof.v1.image_pb2 import Image
from heatproof.v1.tensor_pb2 import DATA_TYPE_FLOAT32, DATA_TYPE_UINT8, Tensor

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".npy"}
)
"""Suffixes of the files of a folder that are images; others are passed over."""


@runtime_checkable
class Picture(Protocol):
    """An image of Pillow, which the client does not need."""

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:  # noqa: A002, ANN401  # Pillow's signature
        """Writes the picture."""


ImageSource: TypeAlias = str | os.PathLike[str] | bytes | NDArray[Any] | Picture | Image
"""An image: a path, an encoded file, pixels [height, width, 3] uint8 or float in [0, 1], a Pillow
image, or a message."""

ImagesSource: TypeAlias = ImageSource | Iterable[ImageSource]
"""Images: one or many; the path of a folder stands for the images in and below it."""


@dataclass(frozen=True, slots=True)
class NamedImage:
    """An image that is read when its turn comes.

    Attributes:
        name: name to show: the path relative to the folder, the file's name, or a number.
        load: makes the message, without name, label, mask or maps.
    """

    name: str
    load: Callable[[], Image]


def collect(images: ImagesSource) -> tuple[NamedImage, ...]:
    """Lists images, folders in the order of their file names.

    Raises:
        UsageError: there is none, a file is missing, or an array is no image.
    """
    if isinstance(images, str | os.PathLike | bytes | np.ndarray | Picture | Image):
        images = [images]
    found: list[NamedImage] = []
    for image in images:
        found.extend(_named(image, len(found)))
    if not found:
        raise UsageError("there are no images: give at least one")
    return tuple(found)


def images_by_stem(folder: Path, kind: str) -> Mapping[str, NamedImage]:
    """The images in and below a folder by their paths without suffix.

    Args:
        folder: the folder.
        kind: what they are, for errors.

    Raises:
        UsageError: there is none, or the paths of two differ in their suffixes alone.
    """
    if not folder.is_dir():
        raise UsageError(f"{kind} folder {folder} does not exist")
    found: dict[str, NamedImage] = {}
    for image in _from_path(folder):
        first = found.setdefault(PurePosixPath(image.name).with_suffix("").as_posix(), image)
        if first is not image:
            raise UsageError(
                f"{kind} folder {folder} holds {first.name} and {image.name}: keep one of them"
            )
    return found


def only_image(image: ImageSource | NamedImage, role: str) -> NamedImage:
    """The image, where exactly one is meant.

    Args:
        image: the image.
        role: what it is wanted for, for the error.

    Raises:
        UsageError: it is missing, no image, or a folder of several.
    """
    found = [image] if isinstance(image, NamedImage) else collect(image)
    if len(found) != 1:
        raise UsageError(f"the {role} is a folder of {len(found)} images: give one image")
    return found[0]


def _named(image: ImageSource, index: int) -> Sequence[NamedImage]:
    if isinstance(image, str | os.PathLike):
        return _from_path(Path(image))
    name = f"image-{index + 1:04d}"
    if isinstance(image, Image):
        return [NamedImage(image.display_name or name, partial(_copy, image))]
    if isinstance(image, bytes):
        return [NamedImage(name, partial(Image, encoded=image))]
    if isinstance(image, np.ndarray):
        return [NamedImage(name, partial(Image, pixels=pixels(image)))]
    if isinstance(image, Picture):
        return [NamedImage(name, partial(_from_picture, image))]
    if hasattr(image, "__array__"):
        return [NamedImage(name, partial(Image, pixels=pixels(as_array(image))))]
    raise UsageError(
        f"image {index + 1} is of type {type(image).__name__}; give a path, bytes, an array "
        "[height, width, 3] or a Pillow image"
    )


def _from_path(path: Path) -> Sequence[NamedImage]:
    if path.is_dir():
        files = [
            file
            for file in sorted(path.rglob("*"))
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ]
        if not files:
            raise UsageError(f"folder {path} holds no images ({', '.join(sorted(SUFFIXES))})")
        return [NamedImage(file.relative_to(path).as_posix(), _reader(file)) for file in files]
    if not path.is_file():
        raise UsageError(f"image {path} does not exist")
    return [NamedImage(path.name, _reader(path))]


def _reader(path: Path) -> Callable[[], Image]:
    return partial(_from_array_file if path.suffix.lower() == ".npy" else _from_file, path)


def _from_file(path: Path) -> Image:
    try:
        return Image(encoded=path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read image {path}: {error.strerror}") from error


def _from_array_file(path: Path) -> Image:
    return Image(pixels=pixels(load_array(path)))


def _from_picture(picture: Picture) -> Image:
    # PNG loses nothing, and the server's conversions of grey, alpha and 16 bits then hold.
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return Image(encoded=buffer.getvalue())


def _copy(image: Image) -> Image:
    copy = Image()
    copy.CopyFrom(image)
    return copy


def load_array(path: Path) -> NDArray[Any]:
    """Reads an NPY file; never one that would run code.

    Raises:
        UsageError: it is no NPY file of numbers.
    """
    try:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read array {path}: {error}") from error
    return array


def pixels(array: NDArray[Any]) -> Tensor:
    """Writes pixels [height, width, 3] as a tensor.

    Raises:
        UsageError: wrong shape, or neither uint8 nor floats in [0, 1].
    """
    if array.ndim != 3 or array.shape[2] != 3:  # axes and colours
        first = array.ndim == 3 and array.shape[0] == 3
        way = ": give it as image.transpose(1, 2, 0), or say layout='CHW' to LabelledImages.of"
        raise UsageError(
            f"an image array is [height, width, 3], not {list(array.shape)}{way if first else ''}"
        )
    if array.dtype == np.uint8:
        return Tensor(
            data_type=DATA_TYPE_UINT8, shape=array.shape, data=np.ascontiguousarray(array).tobytes()
        )
    if not np.issubdtype(array.dtype, np.floating):
        raise UsageError(f"an image array holds uint8 or floats in [0, 1], not {array.dtype}")
    if not (np.min(array) >= 0 and np.max(array) <= 1):  # NaN fails both
        raise UsageError(
            "a float image array holds values in [0, 1]: divide by 255, and leave mean and "
            "standard deviation to `preprocessing`"
        )
    return floats(array)


def floats(array: NDArray[Any]) -> Tensor:
    """Writes numbers as a float32 tensor."""
    data = np.ascontiguousarray(array, dtype="<f4").tobytes()
    return Tensor(data_type=DATA_TYPE_FLOAT32, shape=array.shape, data=data)
