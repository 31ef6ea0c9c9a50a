"""Finds what makes a model an image classifier: its image input and its class output."""

from collections.abc import Collection
from dataclasses import dataclass

import onnx_ir as ir

from heatproof.evaluators.errors import LimitExceededError, UnsupportedModelError
from heatproof.evaluators.images.preprocessing import MAX_SIDE
from heatproof.evaluators.images.preprocessing import Layout as Layout
from heatproof.graphs.heads.choosing import ClassOutput as ClassOutput
from heatproof.graphs.heads.choosing import find_class_output as find_class_output
from heatproof.graphs.heads.choosing import listed
from heatproof.graphs.heads.scores import Activation as Activation
from heatproof.graphs.nodes.surroundings import is_surrounding

IMAGE_DTYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.UINT8)
IMAGE_CHANNELS = (1, 3)


_IMAGE_RANK = 4
_POINTWISE = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Pad", "Sub", "Transpose"})


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The input that takes the image.

    Attributes:
        name: name of the graph input.
        layout: order of its axes.
        batch: fixed batch size, or None when any is taken.
        channels: 1 (grey) or 3.
        height: rows in pixels, or None when any number is taken.
        width: columns in pixels, or None when any number is taken.
        dtype: element type.
    """

    name: str
    layout: Layout
    batch: int | None
    channels: int
    height: int | None
    width: int | None
    dtype: ir.DataType


def find_image_input(model: ir.Model, *, beside: Collection[str] = ()) -> ImageInput:
    """Finds the one rank-4 input with 1 or 3 channels, first or last.

    Inputs that nothing reads and those that a rewrite has marked do not count.

    Args:
        model: the model.
        beside: names of inputs that are known to be something else.

    Raises:
        UnsupportedModelError: no input or several could be the image, or the model needs other
            inputs beside it; lists the inputs.
        LimitExceededError: its fixed size is larger than any preprocessing may ask for.
    """
    inputs = [
        value
        for value in model.graph.inputs
        if not value.is_initializer() and value.name not in beside and not is_surrounding(value)
    ]
    inputs = [value for value in inputs if value.uses() or value.is_graph_output()] or inputs
    images = [image for value in inputs if (image := _as_image(value)) is not None]
    if len(images) == 1 and len(inputs) == 1:
        _check_sides(images[0])
        return images[0]
    fault = "no image input" if not images else "several inputs"
    raise UnsupportedModelError(
        f"the model has {fault}; expected one float or uint8 input [N, 3, H, W] or [N, H, W, 3] "
        f"(1 channel for grey images), found {listed(inputs)}"
    )


def _check_sides(image: ImageInput) -> None:
    longest = max(image.height or 0, image.width or 0)
    if longest > MAX_SIDE:
        raise LimitExceededError(
            f"the input {image.name!r} is {longest} pixels long; at most {MAX_SIDE} a side are "
            "taken: export the model for smaller images"
        )


def _as_image(value: ir.Value) -> ImageInput | None:
    name, dtype, shape = value.name or "", value.dtype, value.shape
    if not isinstance(value.type, ir.TensorType):
        return None
    if dtype is None or dtype not in IMAGE_DTYPES or shape is None or shape.rank() != _IMAGE_RANK:
        return None
    batch, second, third, fourth = (_size(dim) for dim in shape)
    if second is None and fourth is None:
        second = _channels_of_first_convolution(value)
    if second in IMAGE_CHANNELS:
        return ImageInput(name, Layout.NCHW, batch, second, third, fourth, dtype)
    if fourth in IMAGE_CHANNELS:
        return ImageInput(name, Layout.NHWC, batch, fourth, second, third, dtype)
    return None


def _channels_of_first_convolution(image: ir.Value) -> int | None:
    """Some exporters leave every axis open; the first weights then tell the channels."""
    for node in image.consumers():
        if node.op_type in _POINTWISE and len(node.outputs) == 1:
            return _channels_of_first_convolution(node.outputs[0])
        if node.op_type == "Conv" and node.domain == "":
            weights = node.inputs[1]
            if weights is not None and weights.shape is not None:
                per_group = _size(weights.shape[1])
                groups = node.attributes.get_int("group", 1)
                return None if per_group is None else per_group * groups
    return None


def _size(dim: int | ir.SymbolicDim) -> int | None:
    return dim if isinstance(dim, int) else None
