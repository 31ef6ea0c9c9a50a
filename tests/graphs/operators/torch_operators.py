"""ONNX operators in torch, in double precision and differentiable: an oracle for whole graphs.

Slow readings of the operators' definitions. Windows are gathered cell by cell, so that automatic
padding, uneven padding, dilation and rounding up need no special cases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

Operator = Callable[..., Tensor | tuple[Tensor, ...]]
Pair = tuple[int, int]


class UnreadError(KeyError):
    """An operator has no reading in torch."""


def evaluate(model: ir.Model, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Every tensor of a graph without subgraphs, by name."""
    found = constants(model.graph) | dict(feeds)
    for node in model.graph:
        operands = [None if one is None else found[one.name or ""] for one in node.inputs]
        results = applied(node, operands)
        found |= {value.name or "": one for value, one in zip(node.outputs, results, strict=True)}
    return found


def constants(graph: ir.Graph) -> dict[str, Tensor]:
    """The initializers; floating-point numbers become double."""
    arrays = {
        name: value.const_value.numpy()
        for name, value in graph.initializers.items()
        if value.const_value is not None
    }
    return {name: as_tensor(array) for name, array in arrays.items()}


def as_tensor(array: np.ndarray) -> Tensor:
    tensor = torch.tensor(array)
    return tensor.double() if tensor.is_floating_point() else tensor


def applied(node: ir.Node, operands: list[Tensor | None]) -> tuple[Tensor, ...]:
    """The outputs of a node.

    Raises:
        UnreadError: the operator has no reading here.
    """
    if node.op_type not in OPERATORS:
        raise UnreadError(node.op_type)
    outcome = OPERATORS[node.op_type](node, *operands)
    return outcome if isinstance(outcome, tuple) else (outcome,)


@dataclass(frozen=True)
class Geometry:
    """A sliding window with automatic padding and the number of its places resolved."""

    kernel: Pair
    strides: Pair
    dilations: Pair
    begins: Pair
    ends: Pair
    target: Pair

    @staticmethod
    def of(node: ir.Node, kernel: Pair, source: Pair) -> "Geometry":
        ints = node.attributes.get_ints
        strides, dilations = ints("strides", (1, 1)), ints("dilations", (1, 1))
        pads = list(ints("pads", (0, 0, 0, 0)))
        mode = node.attributes.get_string("auto_pad", "NOTSET")
        ceil = node.attributes.get_int("ceil_mode", 0)
        target = [0, 0]
        for axis, (size, step) in enumerate(zip(source, strides, strict=True)):
            span = dilations[axis] * (kernel[axis] - 1) + 1
            if mode.startswith("SAME"):
                target[axis] = -(-size // step)
                total = max((target[axis] - 1) * step + span - size, 0)
                less, more = total // 2, total - total // 2
                pads[axis], pads[axis + 2] = (less, more) if "UPPER" in mode else (more, less)
                continue
            room = size + pads[axis] + pads[axis + 2] - span
            target[axis] = (-(-room // step) if ceil else room // step) + 1
            if ceil and (target[axis] - 1) * step >= size + pads[axis]:
                target[axis] -= 1  # no window starts behind the image
        pair = tuple[int, int]
        return Geometry(kernel, pair(strides), pair(dilations), *_halves(pads), pair(target))

    def windows(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Cells [N, C, y, x, ky, kx], and which of them lie in the image, [y, x, ky, kx]."""
        rows, columns = (self._places(axis) for axis in (0, 1))
        height, width = x.shape[2:]
        cells = x[
            :,
            :,
            rows.clamp(0, height - 1)[:, None, :, None],
            columns.clamp(0, width - 1)[None, :, None, :],
        ]
        return cells, self._within(rows, columns, (0, 0), (height, width))

    def padded(self, source: Pair) -> Tensor:
        """Which cells lie in the image or its padding, [y, x, ky, kx]."""
        rows, columns = (self._places(axis) for axis in (0, 1))
        first = (-self.begins[0], -self.begins[1])
        last = (source[0] + self.ends[0], source[1] + self.ends[1])
        return self._within(rows, columns, first, last)

    def _places(self, axis: int) -> Tensor:
        starts = torch.arange(self.target[axis]) * self.strides[axis] - self.begins[axis]
        return starts[:, None] + torch.arange(self.kernel[axis]) * self.dilations[axis]

    @staticmethod
    def _within(rows: Tensor, columns: Tensor, first: Pair, last: Pair) -> Tensor:
        inside = [(p >= a) & (p < b) for p, a, b in zip((rows, columns), first, last, strict=True)]
        return inside[0][:, None, :, None] & inside[1][None, :, None, :]


def _halves(pads: list[int]) -> tuple[Pair, Pair]:
    return (pads[0], pads[1]), (pads[2], pads[3])


def geometry(node: ir.Node, x: Tensor, weights: Tensor | None = None) -> Geometry:
    """The window of a convolution, or of a pool, over a tensor."""
    kernel = node.attributes.get_ints("kernel_shape", ()) if weights is None else weights.shape[2:]
    return Geometry.of(node, tuple[int, int](kernel), tuple[int, int](x.shape[2:]))


def convolution(node: ir.Node, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    cells, inside = geometry(node, x, w).windows(x)
    groups = node.attributes.get_int("group", 1)
    cells = (cells * inside).unflatten(1, (groups, -1))
    y = torch.einsum("ngchwij,gocij->ngohw", cells, w.unflatten(0, (groups, -1))).flatten(1, 2)
    return y if b is None else y + b[:, None, None]


def max_pool(node: ir.Node, x: Tensor) -> Tensor:
    cells, inside = geometry(node, x).windows(x)
    return torch.where(inside, cells, -torch.inf).amax((-1, -2))


def average_pool(node: ir.Node, x: Tensor) -> Tensor:
    window = geometry(node, x)
    cells, inside = window.windows(x)
    includes = node.attributes.get_int("count_include_pad", 0)
    counted = window.padded(tuple[int, int](x.shape[2:])) if includes else inside
    return (cells * inside).sum((-1, -2)) / counted.sum((-1, -2))


def batch_normalization(node: ir.Node, x: Tensor, *parameters: Tensor) -> Tensor:
    scale, bias, mean, variance = parameters
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    return F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def local_response(node: ir.Node, x: Tensor) -> Tensor:
    size = node.attributes.get_int("size", 1)
    floats = node.attributes.get_float
    alpha, beta, bias = floats("alpha", 1e-4), floats("beta", 0.75), floats("bias", 1.0)
    around = ((size - 1) // 2, size // 2)
    squares = F.pad(x.square(), (0, 0, 0, 0, *around)).unfold(1, size, 1).sum(-1)
    return x / (bias + alpha / size * squares) ** beta


def gemm(node: ir.Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    y = a @ (b.T if node.attributes.get_int("transB", 0) else b)
    return y if c is None else y + c


def reshape(_: ir.Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.reshape([x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)])


def split(node: ir.Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = node.attributes.get_int("axis", 0)
    if sizes is None:
        return x.tensor_split(len(node.outputs), axis)
    return x.split([int(size) for size in sizes], axis)


def reduced(node: ir.Node, axes: Tensor | None) -> tuple[list[int], bool]:
    """Axes of a reduction, and whether they stay."""
    listed = node.attributes.get_ints("axes", ()) if axes is None else axes.tolist()
    return list(listed), bool(node.attributes.get_int("keepdims", 1))


def reduction(function: Callable[..., Tensor]) -> Operator:
    def apply(node: ir.Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        listed, keeps = reduced(node, axes)
        return function(x, listed, keepdim=keeps)

    return apply


def pointwise(function: Callable[..., Tensor]) -> Operator:
    return lambda _, *operands: function(*operands)


def clip(_: ir.Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    return x.clamp(low, high)


def hard_sigmoid(node: ir.Node, x: Tensor) -> Tensor:
    alpha, beta = (node.attributes.get_float(*pair) for pair in (("alpha", 0.2), ("beta", 0.5)))
    return (alpha * x + beta).clamp(0, 1)


def leaky_relu(node: ir.Node, x: Tensor) -> Tensor:
    return F.leaky_relu(x, node.attributes.get_float("alpha", 0.01))


def pad(node: ir.Node, x: Tensor, pads: Tensor, value: Tensor | None = None) -> Tensor:
    """Rows and columns only."""
    top, left, bottom, right = (int(pads[index]) for index in (2, 3, 6, 7))
    mode = {"edge": "replicate"}.get(kind := node.attributes.get_string("mode", "constant"), kind)
    number = float(value) if value is not None and mode == "constant" else None
    return F.pad(x, (left, right, top, bottom), mode, number)


def transposed_convolution(node: ir.Node, x: Tensor, w: Tensor) -> Tensor:
    """With equal padding on opposite sides."""
    ints = node.attributes.get_ints
    return F.conv_transpose2d(
        x, w, stride=list(ints("strides", (1, 1))), padding=list(ints("pads", (0, 0)))[:2],
        output_padding=list(ints("output_padding", (0, 0))),
        groups=node.attributes.get_int("group", 1),
    )  # fmt: skip


def space_to_depth(node: ir.Node, x: Tensor) -> Tensor:
    block = node.attributes.get_int("blocksize", 1)
    apart = x.unflatten(3, (-1, block)).unflatten(2, (-1, block))  # [N, C, H, b, W, b]
    return apart.permute(0, 3, 5, 1, 2, 4).flatten(1, 3)


def depth_to_space(node: ir.Node, x: Tensor) -> Tensor:
    block = node.attributes.get_int("blocksize", 1)
    if node.attributes.get_string("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, block)
    return x.unflatten(1, (block, block, -1)).permute(0, 3, 4, 1, 5, 2).flatten(2, 3).flatten(3, 4)


def sliced(_: ir.Node, x: Tensor, *lists: Tensor) -> Tensor:
    for start, end, axis, step in zip(*(one.tolist() for one in lists), strict=True):
        size = x.shape[axis]
        places = range(*slice(start, None if end < -size else end, step).indices(size))
        x = x.index_select(axis, torch.tensor(list(places)))
    return x


def layer_normalization(node: ir.Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.layer_norm(x, scale.shape, scale, bias, node.attributes.get_float("epsilon", 1e-5))


def instance_normalization(node: ir.Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    return F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def group_normalization(node: ir.Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    groups = node.attributes.get_int("num_groups", 1)
    return F.group_norm(x, groups, scale, bias, node.attributes.get_float("epsilon", 1e-5))


def norm(order: int) -> Callable[..., Tensor]:
    return lambda x, axes, keepdim: torch.linalg.vector_norm(x, order, axes, keepdim)


OPERATORS: dict[str, Operator] = {
    "Abs": pointwise(torch.abs),
    "Add": pointwise(torch.add),
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Ceil": pointwise(torch.ceil),
    "Celu": pointwise(F.celu),
    "Clip": clip,
    "Concat": lambda node, *parts: torch.cat(parts, node.attributes.get_int("axis", 1)),
    "Conv": convolution,
    "ConvTranspose": transposed_convolution,
    "Cos": pointwise(torch.cos),
    "DepthToSpace": depth_to_space,
    "Div": pointwise(torch.div),
    "Elu": pointwise(F.elu),
    "Erf": pointwise(torch.erf),
    "Exp": pointwise(torch.exp),
    "Flatten": pointwise(lambda x: x.flatten(1)),
    "Floor": pointwise(torch.floor),
    "Gelu": pointwise(F.gelu),
    "Gemm": gemm,
    "GlobalAveragePool": pointwise(lambda x: x.mean((2, 3), keepdim=True)),
    "GlobalMaxPool": pointwise(lambda x: x.amax((2, 3), keepdim=True)),
    "GroupNormalization": group_normalization,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": pointwise(F.hardswish),
    "InstanceNormalization": instance_normalization,
    "LRN": local_response,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": leaky_relu,
    "Log": pointwise(torch.log),
    "MatMul": pointwise(torch.matmul),
    "Max": pointwise(torch.maximum),
    "MaxPool": max_pool,
    "Min": pointwise(torch.minimum),
    "Mish": pointwise(F.mish),
    "Mul": pointwise(torch.mul),
    "Neg": pointwise(torch.neg),
    "PRelu": pointwise(lambda x, slope: torch.where(x > 0, x, slope * x)),
    "Pad": pad,
    "Pow": pointwise(torch.pow),
    "Reciprocal": pointwise(torch.reciprocal),
    "ReduceL1": reduction(norm(1)),
    "ReduceL2": reduction(norm(2)),
    "ReduceMax": reduction(torch.amax),
    "ReduceMean": reduction(torch.mean),
    "ReduceMin": reduction(torch.amin),
    "ReduceSum": reduction(torch.sum),
    "Relu": pointwise(torch.relu),
    "Reshape": reshape,
    "Round": pointwise(torch.round),
    "Selu": pointwise(F.selu),
    "Sigmoid": pointwise(torch.sigmoid),
    "Sign": pointwise(torch.sign),
    "Sin": pointwise(torch.sin),
    "Slice": sliced,
    "Softmax": lambda node, x: x.softmax(node.attributes.get_int("axis", -1)),
    "Softplus": pointwise(F.softplus),
    "Softsign": pointwise(F.softsign),
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Sqrt": pointwise(torch.sqrt),
    "Sub": pointwise(torch.sub),
    "Sum": pointwise(lambda *terms: torch.stack(terms).sum(0)),
    "Tanh": pointwise(torch.tanh),
    "ThresholdedRelu": pointwise(lambda x: torch.where(x > 1, x, 0)),
    "Transpose": lambda node, x: x.permute(list(node.attributes.get_ints("perm", ()))),
}
