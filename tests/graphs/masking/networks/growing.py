"""Hypothesis strategies that grow random convolutional classifiers as ONNX text.

Every block is a function that draws its own parameters and extends a growth; simple choices come
first, so that failures shrink to few nodes with plain attributes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx_ir.passes import common

Array = NDArray[Any]
Pair = tuple[int, int]
CLASSES = 3
OPSETS = (17, 22)
_AXES_ARE_INPUTS = 18  # opset from which reductions take their axes as an input
_COUNTED_SPLITS = 18


@dataclass(frozen=True)
class Map:
    """A tensor [N, channels, height, width]."""

    name: str
    channels: int
    height: int
    width: int

    @property
    def size(self) -> Pair:
        return self.height, self.width


@dataclass(frozen=True)
class Network:
    """A grown model, its text and its weights."""

    model: ir.Model
    text: str

    def _repr_pretty_(self, printer: Any, *_: Any) -> None:
        """How Hypothesis shows a failing example."""
        printer.text(self.text)


@dataclass
class Growth:
    """A graph under construction.

    Attributes:
        draw: makes a random choice.
        opset: version of the operators.
        lines: the nodes, in ONNX text.
        weights: initializers by name.
        maps: every map so far.
    """

    draw: Callable[[st.SearchStrategy[Any]], Any]
    opset: int
    lines: list[str] = field(default_factory=list)
    weights: dict[str, Array] = field(default_factory=dict)
    maps: list[Map] = field(default_factory=list)
    _names: int = 0

    def choose(self, *options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def number(self, least: int, most: int) -> int:
        return int(self.draw(st.integers(least, most)))

    def node(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.nodes(op_type, *inputs, outputs=1, **attributes)[0]

    def nodes(self, op_type: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        names = [f"t{self._names + index}" for index in range(outputs)]
        self._names += outputs
        listed = ", ".join(f"{name} = {_text(value)}" for name, value in attributes.items())
        head = f"{op_type} <{listed}>" if listed else op_type
        self.lines.append(f"{', '.join(names)} = {head} ({', '.join(inputs)})")
        return names

    def weight(self, *shape: int, least: float | None = None) -> str:
        """Random numbers of the scale that keeps activations in range, or in [least, least + 1]."""
        name = f"w{len(self.weights)}"
        rng = np.random.default_rng([1, len(self.weights)])  # never the image's numbers
        array = rng.standard_normal(shape) / math.sqrt(max(math.prod(shape[1:]), 1))
        if least is not None:
            array = least + rng.random(shape)
        return self.constant(array.astype(np.float32), name)

    def integers(self, *numbers: int) -> str:
        return self.constant(np.array(numbers, np.int64))

    def constant(self, array: Array, name: str = "") -> str:
        name = name or f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def map(self, name: str, channels: int, size: Pair) -> Map:
        self.maps.append(Map(name, channels, *size))
        return self.maps[-1]

    def like(self, name: str, x: Map) -> Map:
        return self.map(name, x.channels, x.size)

    def other(self, x: Map, *, same_channels: bool) -> Map:
        """Any map that can be combined with another; itself at least."""
        fits = [
            one
            for one in self.maps
            if one.size == x.size and (one.channels == x.channels or not same_channels)
        ]
        return self.choose(*fits)  # type: ignore[no-any-return] # a choice among maps

    def reduced(self, op_type: str, x: str, axes: Sequence[int], *, keeps: bool = True) -> str:
        if self.opset < _AXES_ARE_INPUTS and op_type != "ReduceSum":
            return self.node(op_type, x, axes=list(axes), keepdims=int(keeps))
        return self.node(op_type, x, self.integers(*axes), keepdims=int(keeps))

    def finished(self, outputs: Sequence[str], image: Map) -> Network:
        feeds = [f"float[n, {image.channels}, {image.height}, {image.width}] image"]
        feeds += [_declared(name, array) for name, array in self.weights.items()]
        text = (
            f'<ir_version: 9, opset_import: ["": {self.opset}]>\n'
            f"g ({', '.join(feeds)}) => ({', '.join(outputs)}) {{\n  "
            + "\n  ".join(self.lines)
            + "\n}"
        )
        model = ir.from_onnx_text(text)
        for value in tuple(model.graph.inputs)[1:]:
            model.graph.inputs.remove(value)
            value.const_value = ir.tensor(self.weights[value.name or ""], name=value.name)
            model.graph.register_initializer(value)
        for value in model.graph.outputs:
            value.dtype = ir.DataType.FLOAT
        common.ShapeInferencePass()(model)
        return Network(model, text)


def _declared(name: str, array: Array) -> str:
    kind = "float" if array.dtype == np.float32 else "int64"
    return f"{kind}[{', '.join(map(str, array.shape))}] {name}"


def _text(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


Block = Callable[[Growth, Map], Map]
Head = Callable[[Growth, Map], str]

SMOOTH = tuple(
    """Relu Sigmoid HardSigmoid HardSwish LeakyRelu Elu Celu Selu Softplus Softsign Tanh Erf Sin
    Cos Abs Neg ThresholdedRelu Mish Gelu Identity""".split()  # noqa: SIM905 # fifteen more lines
)
ROUGH = ["Floor", "Ceil", "Round", "Sign"]
"""Jumps: rounding errors become large differences, so only the laws hold."""

_SINCE = {"Mish": 18, "Gelu": 20}


def activation(growth: Growth, x: Map) -> Map:
    known = [one for one in SMOOTH if _SINCE.get(one, 0) <= growth.opset]
    return growth.like(growth.node(growth.choose(*known), x.name), x)


def clip(growth: Growth, x: Map) -> Map:
    low = growth.constant(np.array(growth.choose(0, -0.5), np.float32))
    high = growth.constant(np.array(growth.choose(6, 0.5), np.float32))
    return growth.like(growth.node("Clip", x.name, low, high), x)


def with_poles(growth: Growth, x: Map) -> Map:
    """Functions that are infinite or NaN somewhere, though not at visible cells."""
    base = growth.node(growth.choose("Softplus", "Sigmoid"), x.name)
    kind = growth.choose("Exp", "Sqrt", "Log", "Reciprocal", "Pow", "Div")
    if kind == "Pow":
        y = growth.node(kind, base, growth.constant(np.array(1.5, np.float32)))
    elif kind == "Div":
        y = growth.node(kind, growth.weight(x.channels, 1, 1), base)
    else:
        y = growth.node(kind, base)
    return growth.like(y, x)


def scaled(growth: Growth, x: Map) -> Map:
    """A constant of one number a channel."""
    op_type = growth.choose("Mul", "Add", "Sub", "PRelu", "Max", "Min")
    return growth.like(growth.node(op_type, x.name, growth.weight(x.channels, 1, 1)), x)


def batch_normalization(growth: Growth, x: Map) -> Map:
    statistics = [growth.weight(x.channels) for _ in range(3)]
    variance = growth.weight(x.channels, least=0.5)
    return growth.like(growth.node("BatchNormalization", x.name, *statistics, variance), x)


def local_response(growth: Growth, x: Map) -> Map:
    size = growth.choose(3, 1, 5)
    return growth.like(growth.node("LRN", x.name, size=size, alpha=0.5, bias=1.0), x)


@dataclass(frozen=True)
class Slide:
    """A drawn window along both axes: its attributes and what it makes of a size."""

    kernel: list[int]
    attributes: dict[str, Any]
    target: Pair


def slide(growth: Growth, x: Map, *, pools: bool) -> Slide | None:
    """A window that fits; None if none was drawn."""
    kernel = [growth.number(1, 5) for _ in range(2)]
    strides = [growth.number(1, 3) for _ in range(2)]
    auto = growth.choose("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    dilates = not pools and not auto.startswith("SAME")  # ONNX Runtime refuses both together
    dilations = [growth.choose(1, 2, 3) for _ in range(2)] if dilates else [1, 1]
    attributes: dict[str, Any] = {"strides": strides}
    if dilates:
        attributes["dilations"] = dilations
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    if auto.startswith("SAME"):
        if pools:  # ONNX Runtime refuses gaps between windows
            strides[:] = [min(pair) for pair in zip(strides, kernel, strict=True)]
        target = [-(-size // step) for size, step in zip(x.size, strides, strict=True)]
        return Slide(kernel, attributes | {"auto_pad": auto}, (target[0], target[1]))
    pads = [0] * 4
    if auto == "VALID":
        attributes["auto_pad"] = auto
    else:
        most = [min(k - 1, 3) if pools else 3 for k in kernel]
        pads = [growth.number(0, most[index % 2]) for index in range(4)]
        attributes["pads"] = pads
    ceil = pools and growth.choose(0, 1)
    if ceil:
        attributes["ceil_mode"] = 1
    target = []
    for axis, size in enumerate(x.size):
        room = size + pads[axis] + pads[axis + 2] - spans[axis]
        if room < 0:
            return None
        places = (-(-room // strides[axis]) if ceil else room // strides[axis]) + 1
        if ceil and (places - 1) * strides[axis] >= size + pads[axis]:
            places -= 1
        target.append(places)
    return Slide(kernel, attributes, (target[0], target[1]))


def convolution(growth: Growth, x: Map) -> Map:
    window = slide(growth, x, pools=False)
    if window is None:
        return x
    groups = growth.choose(*(d for d in range(1, x.channels + 1) if x.channels % d == 0))
    channels = groups * growth.number(1, 8 // groups if groups < 8 else 1)
    weights = growth.weight(channels, x.channels // groups, *window.kernel)
    bias = [growth.weight(channels)] if growth.choose(True, False) else []
    name = growth.node("Conv", x.name, weights, *bias, group=groups, **window.attributes)
    return growth.map(name, channels, window.target)


def same_convolution(growth: Growth, x: Map) -> Map:
    """A 3 x 3 convolution that keeps the size, as residual blocks need."""
    weights = growth.weight(x.channels, x.channels, 3, 3)
    name = growth.node("Conv", x.name, weights, pads=[1, 1, 1, 1])
    return growth.like(name, x)


def pool(growth: Growth, x: Map) -> Map:
    window = slide(growth, x, pools=True)
    if window is None:
        return x
    op_type = growth.choose("MaxPool", "AveragePool")
    counts = {"count_include_pad": 1} if op_type != "MaxPool" and growth.choose(False, True) else {}
    attributes = {"kernel_shape": window.kernel, **window.attributes, **counts}
    return growth.map(growth.node(op_type, x.name, **attributes), x.channels, window.target)


def same_pool(growth: Growth, x: Map) -> Map:
    """A 3 x 3 pool that keeps the size: its mask differs from its input's."""
    attributes = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    op_type = growth.choose("MaxPool", "AveragePool")
    return growth.like(growth.node(op_type, x.name, **attributes), x)


def residual(growth: Growth, x: Map) -> Map:
    other = growth.other(x, same_channels=True)
    op_type = growth.choose("Add", "Mul", "Sub", "Max", "Min", "Sum")
    return growth.like(growth.node(op_type, x.name, other.name), x)


def concatenation(growth: Growth, x: Map) -> Map:
    others = [growth.other(x, same_channels=False) for _ in range(growth.number(1, 3))]
    parts = [x, *others]
    axis = growth.choose(1, -3)
    if len(parts) > 2 and growth.choose(False, True):
        inner = growth.node("Concat", *(one.name for one in parts[:2]), axis=1)
        name = growth.node("Concat", inner, *(one.name for one in parts[2:]), axis=axis)
    else:
        name = growth.node("Concat", *(one.name for one in parts), axis=axis)
    return growth.map(name, sum(one.channels for one in parts), x.size)


def split(growth: Growth, x: Map) -> Map:
    """Halves, of which one is changed."""
    if x.channels % 2:
        return x
    counted = {"num_outputs": 2} if growth.opset >= _COUNTED_SPLITS else {}
    first, second = growth.nodes("Split", x.name, outputs=2, axis=1, **counted)
    half = Map(first, x.channels // 2, *x.size)
    changed = growth.choose(activation, same_convolution, same_pool)(growth, half)
    return growth.like(growth.node("Concat", changed.name, second, axis=1), x)


def shuffle(growth: Growth, x: Map) -> Map:
    """Mixes channels between groups: Reshape, Transpose, Reshape."""
    groups = growth.choose(*(d for d in range(1, x.channels + 1) if x.channels % d == 0))
    inner = growth.integers(0, groups, x.channels // groups, *x.size)
    apart = growth.node("Reshape", x.name, inner)
    swapped = growth.node("Transpose", apart, perm=[0, 2, 1, 3, 4])
    outer = growth.integers(growth.choose(-1, 0), x.channels, *x.size)
    return growth.like(growth.node("Reshape", swapped, outer), x)


def gate(growth: Growth, x: Map) -> Map:
    """Squeeze and excitation."""
    mean = growth.choose(
        lambda: growth.node("GlobalAveragePool", x.name),
        lambda: growth.reduced("ReduceMean", x.name, [2, 3]),
        lambda: growth.node("GlobalMaxPool", x.name),
    )()
    weights = growth.weight(x.channels, x.channels, 1, 1)
    squeezed = growth.node("Conv", mean, weights)
    opened = growth.node(growth.choose("Sigmoid", "HardSigmoid"), squeezed)
    return growth.like(growth.node("Mul", x.name, opened), x)


def spatial_gate(growth: Growth, x: Map) -> Map:
    """CBAM: attention computed from statistics over channels."""
    kind = growth.choose("ReduceMean", "ReduceMax")
    most = growth.reduced(kind, x.name, [1])
    weights = growth.weight(1, 1, 3, 3)
    attention = growth.node("Conv", most, weights, pads=[1, 1, 1, 1])
    return growth.like(growth.node("Mul", x.name, growth.node("Sigmoid", attention)), x)


def channels_last(growth: Growth, x: Map) -> Map:
    """A stretch in NHWC."""
    last = growth.node("Transpose", x.name, perm=[0, 2, 3, 1])
    kind = growth.choose("Add", "Relu", "ReduceMean", "Concat")
    if kind == "Add":
        last = growth.node(kind, last, growth.weight(x.channels))
    elif kind == "Relu":
        last = growth.node(kind, last)
    elif kind == "ReduceMean":
        last = growth.node("Sub", last, growth.reduced(kind, last, [-1]))
    else:
        last = growth.node(kind, last, last, axis=3)
        x = Map("", 2 * x.channels, *x.size)
    return growth.like(growth.node("Transpose", last, perm=[0, 3, 1, 2]), x)


BLOCKS: list[Block] = [
    activation, scaled, convolution, pool, same_convolution, same_pool, residual, concatenation,
    gate, batch_normalization, clip, split, shuffle, spatial_gate, channels_last, with_poles,
    local_response,
]  # fmt: skip


def mean_head(growth: Growth, x: Map) -> str:
    return growth.node("GlobalAveragePool", x.name)


def reduced_head(growth: Growth, x: Map) -> str:
    axes = growth.choose([2, 3], [-1, -2])
    return growth.reduced("ReduceMean", x.name, axes, keeps=growth.choose(False, True))


def whole_pool_head(growth: Growth, x: Map) -> str:
    return growth.node("AveragePool", x.name, kernel_shape=list(x.size))


def maximum_head(growth: Growth, x: Map) -> str:
    return growth.node("GlobalMaxPool", x.name)


def dense_head(growth: Growth, x: Map) -> str:
    flat = growth.node("Flatten", x.name)
    features = x.channels * x.height * x.width
    return growth.node("Gemm", flat, growth.weight(CLASSES, features), transB=1)


def classifier(growth: Growth, x: Map) -> str:
    pooled = growth.choose(mean_head, maximum_head, whole_pool_head)(growth, x)
    flat = growth.node("Flatten", pooled)
    weights, bias = growth.weight(CLASSES, x.channels), growth.weight(CLASSES)
    logits = growth.node("Gemm", flat, weights, bias, transB=1)
    return growth.choose(logits, growth.node("Softmax", logits, axis=1))  # type: ignore[no-any-return]


def spatial_head(growth: Growth, x: Map) -> str:
    return growth.node("Neg", x.name)


HEADS = [
    mean_head, classifier, dense_head, maximum_head, reduced_head, whole_pool_head, spatial_head,
]  # fmt: skip

LARGEST = 4096
"""Elements of a map per image, so that growth by concatenation ends."""


@st.composite
def networks(
    draw: Callable[[st.SearchStrategy[Any]], Any],
    blocks: Sequence[Block],
    heads: Sequence[Head],
    most: int = 7,
) -> Network:
    """Image classifiers of up to `most` of the blocks, with one or two of the heads."""
    opset = draw(st.sampled_from(OPSETS))
    growth = Growth(draw, opset)
    image = growth.map("image", 3, (growth.number(6, 17), growth.number(6, 17)))
    x = image
    for block in draw(st.lists(st.sampled_from(blocks), max_size=most)):
        if x.channels * x.height * x.width <= LARGEST:
            x = block(growth, x)
    chosen = draw(st.lists(st.sampled_from(heads), min_size=1, max_size=2, unique=True))
    return growth.finished([head(growth, x) for head in chosen], image)


@st.composite
def masks(draw: Callable[[st.SearchStrategy[Any]], Any], size: Pair) -> Array:
    """For three images: a small box, one pixel, and some pixels here and there."""
    found = np.zeros((3, 1, *size), np.float32)
    top, left = (draw(st.integers(0, side - 1)) for side in size)
    found[0, :, top : top + 3, left : left + 2] = 1
    found[1, :, top, left] = 1
    found[2] = np.random.default_rng(draw(st.integers(0, 9))).random(size) < 0.3
    return found
