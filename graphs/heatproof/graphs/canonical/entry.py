"""The first nodes of a canonical model: from RGB in [0, 1] to what the model was trained on."""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.preprocessing import ChannelOrder, Preprocessing
from heatproof.graphs.heads.signature import ImageInput, Layout
from heatproof.graphs.nodes.surroundings import mark_surrounding
from heatproof.graphs.operators.emitter import Attribute, Attributes, Emitter

LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luminance of ITU-R BT.601, as in Pillow's mode L."""

_TO_NHWC = (0, 2, 3, 1)


def insert_entry(
    model: ir.Model, image: ImageInput, preprocessing: Preprocessing, size: tuple[int, int]
) -> None:
    """Replaces the image input, in place, by a float32 RGB input [N, 3, H, W] in [0, 1].

    The new input keeps the name of the old one. `(scale * pixel - mean) / std` is computed as one
    multiplication and one addition, whose constants are rounded from float64 once; BGR order and
    grey (luminance) as a 1x1 convolution. Models that take uint8 get the nearest integer.

    Raises:
        InvalidArgumentError: mean or std has three values, but the model one channel.
    """
    graph = model.graph
    old = next(value for value in graph.inputs if value.name == image.name)
    batch = "N" if old.shape is None or isinstance(old.shape[0], int) else old.shape[0]
    new = ir.Value(
        name=image.name, shape=ir.Shape([batch, 3, *size]), type=ir.TensorType(ir.DataType.FLOAT)
    )
    entry = _Entry(graph)
    value = entry.normalized(new, image, preprocessing)
    value = entry.converted(value, image)
    graph.inputs[list(graph.inputs).index(old)] = new
    old.name = f"{image.name}/original"
    old.replace_all_uses_with(value)


class _Entry:
    """The nodes of the entry, in front of all others."""

    def __init__(self, graph: ir.Graph) -> None:
        self._op = Emitter(graph)
        self._op.before(graph[0])

    def normalized(self, x: ir.Value, image: ImageInput, wanted: Preprocessing) -> ir.Value:
        """Applies channel order, scale, mean and std to a float32 image."""
        factor, offset = _affine(wanted, image.channels)
        if image.channels == 1:
            return self._mixed(x, np.array([LUMINANCE]) * factor, offset)
        if wanted.channel_order is ChannelOrder.BGR:
            return self._mixed(x, np.eye(3)[::-1] * factor[:, np.newaxis], offset)
        if np.any(factor != 1):
            x = self._node("Mul", x, self._constant(factor.reshape(1, -1, 1, 1)))
        if np.any(offset != 0):
            x = self._node("Add", x, self._constant(offset.reshape(1, -1, 1, 1)))
        return x

    def converted(self, x: ir.Value, image: ImageInput) -> ir.Value:
        """Brings a normalized image to the layout and element type of the model."""
        if image.layout is Layout.NHWC:
            x = self._node("Transpose", x, perm=_TO_NHWC)
        if image.dtype == ir.DataType.UINT8:
            # Cast truncates; Round exists from opset 11 only.
            x = self._node("Add", x, self._constant(np.array(0.5)))
        if image.dtype != ir.DataType.FLOAT:
            x = self._node("Cast", x, to=int(image.dtype))
        return x

    def _mixed(
        self, x: ir.Value, weights: NDArray[np.float64], bias: NDArray[np.float64]
    ) -> ir.Value:
        mixing = self._constant(weights[:, :, np.newaxis, np.newaxis])
        return self._node("Conv", x, mixing, self._constant(bias), kernel_shape=(1, 1))

    def _constant(self, array: NDArray[np.float64]) -> ir.Value:
        return self._op.constant(array, ir.DataType.FLOAT)

    def _node(self, op_type: str, *inputs: ir.Value, **attributes: Attribute) -> ir.Value:
        given: Attributes = {**attributes}
        output = self._op(op_type, *inputs, name=f"{inputs[0].name}/{op_type}", **given)
        node = output.producer()
        if node is not None:
            mark_surrounding(node)
        return output


def _affine(
    wanted: Preprocessing, channels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(scale * x - mean) / std as x * factor + offset, one of each a channel."""
    for name, values in (("mean", wanted.mean), ("std", wanted.std)):
        if len(values) not in {1, channels}:
            raise InvalidArgumentError(
                f"preprocessing.{name} has {len(values)} values, but the model takes {channels} "
                "channel; give one value",
                field=name,
            )
    mean, std = np.array(wanted.mean), np.array(wanted.std)
    factor = np.broadcast_to(wanted.scale / std, channels)
    return factor, np.broadcast_to(-mean / std, channels)
