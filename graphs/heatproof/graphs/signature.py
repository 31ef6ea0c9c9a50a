"""Finds what makes a model an image classifier: its image input and its class output."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.preprocessing import Layout as Layout

IMAGE_DTYPES = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.UINT8)
IMAGE_CHANNELS = (1, 3)


class Activation(StrEnum):
    """What a model applies to its logits before it returns them."""

    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    LOG_SOFTMAX = "log_softmax"


_ACTIVATIONS = {
    "Softmax": Activation.SOFTMAX,
    "Sigmoid": Activation.SIGMOID,
    "LogSoftmax": Activation.LOG_SOFTMAX,
}
_IMAGE_RANK = 4
_LAST_AXIS_BY_DEFAULT = 13  # opset from which Softmax runs along the last axis by default
_POINTWISE = frozenset({"Add", "Cast", "Div", "Identity", "Mul", "Pad", "Sub", "Transpose"})
_RESHAPES = frozenset({"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Cast"})


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


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """The output with one score per class.

    Attributes:
        name: name of the graph output.
        logits: name of the tensor before the final activation, or of the output itself.
        classes: number of classes, or None when the graph leaves it open.
        activation: what lies between logits and output.
    """

    name: str
    logits: str
    classes: int | None
    activation: Activation


def find_image_input(model: ir.Model, *, beside: Collection[str] = ()) -> ImageInput:
    """Finds the one rank-4 input with 1 or 3 channels, first or last.

    Inputs that nothing reads do not count.

    Args:
        model: the model.
        beside: names of inputs that are known to be something else.

    Raises:
        UnsupportedModelError: no input or several could be the image, or the model needs other
            inputs beside it; lists the inputs.
    """
    inputs = [
        value
        for value in model.graph.inputs
        if not value.is_initializer() and value.name not in beside
    ]
    inputs = [value for value in inputs if value.uses() or value.is_graph_output()] or inputs
    images = [image for value in inputs if (image := _as_image(value)) is not None]
    if len(images) == 1 and len(inputs) == 1:
        return images[0]
    fault = "no image input" if not images else "several inputs"
    raise UnsupportedModelError(
        f"the model has {fault}; expected one float or uint8 input [N, 3, H, W] or [N, H, W, 3] "
        f"(1 channel for grey images), found {_listed(inputs)}"
    )


def _as_image(value: ir.Value) -> ImageInput | None:
    name, dtype, shape = value.name or "", value.dtype, value.shape
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


def find_class_output(model: ir.Model) -> ClassOutput:
    """Finds the first output of shape [N, classes] or [N, classes, 1, 1].

    The model must have inferred shapes, as `prepared` leaves it.

    Raises:
        UnsupportedModelError: no output has such a shape; lists the outputs.
    """
    for value in model.graph.outputs:
        if _is_class_scores(value):
            logits, activation = _before_activation(value)
            classes = None if value.shape is None else _size(value.shape[1])
            return ClassOutput(value.name or "", logits.name or "", classes, activation)
    raise UnsupportedModelError(
        "the model has no class output; expected a float output [N, classes] or "
        f"[N, classes, 1, 1], found {_listed(model.graph.outputs)}"
    )


def _is_class_scores(value: ir.Value) -> bool:
    shape = value.shape
    if shape is None or value.dtype is None or not value.dtype.is_floating_point():
        return False
    return shape.rank() > 1 and all(size == 1 for size in shape[2:])


def _before_activation(output: ir.Value) -> tuple[ir.Value, Activation]:
    """The logits behind an output: walks back over what keeps the elements, to an activation."""
    value: ir.Value | None = output
    while value is not None:
        node = value.producer()
        if node is None or not node.inputs or node.domain != "":
            break
        if node.op_type in _ACTIVATIONS and node.inputs[0] is not None:
            over_classes = _is_over_classes(node)
            return (
                (node.inputs[0], _ACTIVATIONS[node.op_type])
                if over_classes
                else (output, Activation.NONE)
            )
        if node.op_type not in _RESHAPES:
            break
        value = node.inputs[0]
    return output, Activation.NONE


def _is_over_classes(node: ir.Node) -> bool:
    """Whether an activation runs along the class axis, which is axis 1 (or the last of two)."""
    if node.op_type == "Sigmoid":
        return True
    operand = node.inputs[0]
    if operand is None or operand.shape is None or node.graph is None:
        return False
    default = -1 if node.graph.opset_imports[""] >= _LAST_AXIS_BY_DEFAULT else 1
    axis = node.attributes.get_int("axis", default)
    return axis % operand.shape.rank() == 1


def _size(dim: int | ir.SymbolicDim) -> int | None:
    return dim if isinstance(dim, int) else None


def _listed(values: Iterable[ir.Value]) -> str:
    return ", ".join(f"{value.name!r} {value.dtype}{value.shape}" for value in values) or "none"
