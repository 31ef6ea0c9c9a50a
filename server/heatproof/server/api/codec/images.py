"""Images with what is known about them: checked here as far as that needs no decoding."""

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import numpy as np

from heatproof.evaluators.errors import (
    InvalidArgumentError,
    InvalidImageError,
    LimitExceededError,
    placed,
)
from heatproof.evaluators.images.arrays import require_unit
from heatproof.evaluators.images.labels import Label, LabelSet
from heatproof.evaluators.images.sources import Frame, FramedBox
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.enums import decode_enum
from heatproof.server.api.codec.fields.tensors import array, binarised, check_finite, check_tensor
from heatproof.server.datasets.image_groups import GroupCheck
from heatproof.server.workers.inputs import (
    ArraySource,
    EncodedSource,
    FramedSource,
    StoredImage,
    received,
)
from heatproof.server.workers.limits import Limits
from heatproof.v1 import image_pb2, tensor_pb2

_FRAME: Final = image_pb2.Frame.DESCRIPTOR
_CHANNELS: Final = 3
_MAX_GROUP: Final = 200
_MAX_LABELS: Final = 1000


def decode_image(message: image_pb2.Image, limits: Limits) -> StoredImage:
    """Checks an image and what is known about it; image files stay undecoded.

    Raises:
        InvalidArgumentError: a tensor, label, box or map is unusable; names its field.
        LimitExceededError: it is too large.
    """
    pixels = _pixels(message, limits)
    if pixels is None:
        raise InvalidImageError("the image has no pixels; set encoded or pixels")
    if len(message.group) > _MAX_GROUP:
        raise InvalidArgumentError(
            f"group has {len(message.group)} characters; it may have {_MAX_GROUP}", field="group"
        )
    return StoredImage(
        digest=_digest(pixels),
        display_name=message.display_name,
        pixels=pixels,
        label=_label(message),
        object_mask=_object_mask(message, limits),
        boxes=tuple(_box(box, index) for index, box in enumerate(message.boxes)),
        attribution_maps=_maps(message, limits),
        replacement=_replacement(message, limits),
        group=message.group,
    )


def _label(message: image_pb2.Image) -> Label | None:
    if not message.HasField("labels"):
        return _class_index(message.label, "label") if message.HasField("label") else None
    if message.HasField("label"):
        raise InvalidArgumentError(
            "label and labels are both set: keep labels, with all classes that the image shows, or "
            "label, with the one that is true",
            field="labels",
        )
    return _label_set(message.labels.classes)


def _label_set(classes: Sequence[int]) -> LabelSet:
    """The set; its order says nothing, so equal sets are one."""
    if len(classes) > _MAX_LABELS:
        raise InvalidArgumentError(
            f"labels has {len(classes)} classes; an image may show {_MAX_LABELS}",
            field="labels.classes",
        )
    for place, index in enumerate(classes):
        _class_index(index, f"labels.classes[{place}]")
        if index in classes[:place]:
            raise InvalidArgumentError(
                f"class {index} is in the labels twice: list the indices of the classes that the "
                "image shows, not a 0 or 1 for each class",
                field=f"labels.classes[{place}]",
            )
    return LabelSet(tuple(sorted(classes)))


def _class_index(index: int, field: str) -> int:
    if index < 0:
        raise InvalidArgumentError(
            f"label must be at least 0, not {index}; leave it unset if it is unknown", field=field
        )
    return index


def _pixels(
    message: image_pb2.Image | image_pb2.ReplacementImage, limits: Limits
) -> EncodedSource | ArraySource | None:
    match message.WhichOneof("source"):
        case "encoded":
            return _encoded(message.encoded, limits)
        case "pixels":
            with placed("pixels"):
                return _tensor_pixels(message.pixels, limits)
        case _:
            return None


def _encoded(data: bytes, limits: Limits) -> EncodedSource:
    if not data:
        raise InvalidImageError("the image file is empty", field="encoded")
    if len(data) > limits.max_image_bytes:
        raise LimitExceededError(
            f"the image file has {len(data)} bytes; this server takes at most "
            f"{limits.max_image_bytes}",
            field="encoded",
        )
    return EncodedSource(data)


def _tensor_pixels(message: tensor_pb2.Tensor, limits: Limits) -> ArraySource:
    source = check_tensor(message, "uint8 float32", 3)
    height, width, channels = source.shape
    if channels != _CHANNELS:
        raise InvalidImageError(
            f"shape must be [height, width, 3], not {list(source.shape)}", field="shape"
        )
    if height * width > limits.max_image_pixels:
        raise LimitExceededError(
            f"the image has {height * width} pixels; this server takes at most "
            f"{limits.max_image_pixels}",
            field="shape",
        )
    if source.dtype == "float32":
        values = array(check_finite(source))
        with placed("data"):
            require_unit(values)
    return source


def _replacement(message: image_pb2.Image, limits: Limits) -> FramedSource | None:
    if not message.HasField("replacement"):
        return None
    with placed("replacement"):
        frame = _frame(message.replacement.frame)
        pixels = _pixels(message.replacement, limits)
        if pixels is None:
            raise InvalidImageError("the replacement has no pixels; set encoded or pixels")
        return FramedSource(frame, pixels)


def _object_mask(message: image_pb2.Image, limits: Limits) -> FramedSource | None:
    if not message.HasField("object_mask"):
        return None
    mask = message.object_mask
    with placed("object_mask"):
        frame = _frame(mask.frame)
        match mask.WhichOneof("source"):
            case "mask":
                with placed("mask"):
                    return FramedSource(frame, check_tensor(mask.mask, "uint8", 2))
            case "encoded":
                return FramedSource(frame, _encoded(mask.encoded, limits))
            case _:
                raise InvalidArgumentError("the object mask is empty; set mask or encoded")


def _box(message: image_pb2.Box, index: int) -> FramedBox:
    with placed(f"boxes[{index}]"):
        box = decode(message, FramedBox)
        if not (0 <= box.left < box.right and 0 <= box.top < box.bottom):
            raise InvalidArgumentError(
                "a box needs 0 <= left < right and 0 <= top < bottom, not columns "
                f"{box.left:g} to {box.right:g} and rows {box.top:g} to {box.bottom:g}"
            )
        return box


def _maps(message: image_pb2.Image, limits: Limits) -> dict[str, FramedSource]:
    maps: dict[str, FramedSource] = {}
    for index, item in enumerate(message.attribution_maps):
        with placed(f"attribution_maps[{index}]"):
            if item.name in maps:
                raise InvalidArgumentError(
                    f"two maps are named {item.name!r}; names are unique within an image",
                    field="name",
                )
            maps[item.name] = _map(item, limits)
    return maps


def _map(message: image_pb2.AttributionMap, limits: Limits) -> FramedSource:
    frame = _frame(message.frame)
    with placed("values"):
        source = check_tensor(message.values, "float32", 2, 3)
        if math.prod(source.shape[-2:]) > limits.max_image_pixels:
            raise LimitExceededError(
                f"the map has extents {list(source.shape)}; this server takes at most "
                f"{limits.max_image_pixels} pixels",
                field="shape",
            )
        return FramedSource(frame, check_finite(source))


def _frame(number: int) -> Frame:
    with placed("frame"):
        return Frame(decode_enum(_FRAME, number, Frame))


def _digest(pixels: EncodedSource | ArraySource) -> str:
    """SHA-256 of the image file, or of type, extents and elements of a tensor."""
    data = received(pixels.content)
    if isinstance(pixels, EncodedSource):
        return hashlib.sha256(data).hexdigest()
    header = f"{pixels.dtype} {list(pixels.shape)}\n".encode()
    return hashlib.sha256(header + data).hexdigest()


def mask_stack(
    message: tensor_pb2.Tensor, frame: int, threshold: float | None, limits: Limits
) -> FramedSource:
    """Checks the masks of a prediction; those of floats become bytes.

    Raises:
        InvalidArgumentError: the tensor is not [masks, height, width], holds floats between 0 and
            1 without a threshold, or has no frame.
    """
    with placed("masks"):
        source = check_tensor(message, "uint8 float32", 3)
        if not np.prod(source.shape[1:]) <= limits.max_image_pixels:
            raise LimitExceededError("the masks have too many pixels", field="shape")
        if source.dtype == "float32":
            source = binarised(source, threshold)
    return FramedSource(_frame(frame), source)


async def receive_images(
    messages: AsyncIterator[Any], limits: Limits
) -> AsyncIterator[StoredImage]:
    """Checks images one by one, off the event loop; errors name them `images[i]`.

    Raises:
        InvalidArgumentError: an image or what is known about it is unusable.
    """
    index = 0
    async for message in messages:
        with placed(f"images[{index}]"):
            yield await asyncio.to_thread(decode_image, message, limits)
        index += 1


async def decode_images(
    messages: Sequence[image_pb2.Image], limits: Limits, most: int
) -> tuple[StoredImage, ...]:
    """Checks the images of one request, off the event loop.

    Raises:
        InvalidArgumentError: there are none or too many, or one is unusable.
    """
    if not 1 <= len(messages) <= most:
        raise InvalidArgumentError(
            f"images must hold 1 to {most} images, not {len(messages)}; "
            "for more, call UploadDataset and CreateEvaluation",
            field="images",
        )

    def checked(index: int, message: image_pb2.Image) -> StoredImage:
        with placed(f"images[{index}]"):
            return decode_image(message, limits)

    images = tuple(
        [await asyncio.to_thread(checked, *numbered) for numbered in enumerate(messages)]
    )
    groups = GroupCheck()
    for index, image in enumerate(images):
        groups.add(index, image)
    return images
