"""Follows index arithmetic element by element where constant folding cannot: through the batch."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.nodes.constants import constant_operand
from heatproof.graphs.operators.rules import RuleTable
from heatproof.graphs.preparation.shapes import extents as ext
from heatproof.graphs.preparation.shapes.extents import Extent, Extents, constant_extents, lifted

LONGEST = 4096
"""Elements of the largest tensor that is followed."""


@dataclass(slots=True)
class Sizes:
    """What is known of the numbers in a graph.

    Attributes:
        batch: name of the batch size among the symbolic dimensions; None if it is static.
        known: elements of the values that have been followed.
    """

    batch: str | None
    known: dict[ir.Value, Extents] = field(default_factory=dict)

    def extent(self, size: int | ir.SymbolicDim) -> Extent | None:
        """A dimension as a number: an integer, the batch, or a multiple `k*batch` of it."""
        if isinstance(size, int):
            return Extent(0, size)
        if self.batch is None or size.value is None:
            return None
        multiple = re.fullmatch(r"(?:(\d{1,15})\*)?" + re.escape(self.batch), size.value)
        return Extent(int(multiple[1] or 1), 0) if multiple else None

    def dimension(self, extent: Extent | None) -> int | ir.SymbolicDim:
        """The inverse of `extent`; unnamed where that has none."""
        if extent is not None and extent.is_constant:
            return int(extent.offset)
        if extent is None or extent.offset != 0 or extent.slope < 0:
            return ir.SymbolicDim(None)
        name = str(self.batch)
        return ir.SymbolicDim(name if extent.slope == 1 else f"{int(extent.slope)}*{name}")

    def dims(self, value: ir.Value | None) -> list[Extent | None] | None:
        """The dimensions of a value, or None if its rank is unknown."""
        if value is None or value.shape is None:
            return None
        return [self.extent(size) for size in value.shape]

    def of(self, value: ir.Value | None) -> Extents | None:
        """The elements of a value, or None if it is absent, long or nothing is known of it."""
        if value is None:
            return None
        if value in self.known:
            return self.known[value]
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None or tensor.size > LONGEST or tensor.dtype not in _NUMBERS:
            return None
        self.known[value] = constant_extents(tensor.numpy())
        return self.known[value]

    def follow(self, node: ir.Node) -> tuple[Extents | None, ...]:
        """The elements of the outputs of a node; () if it is not followed."""
        graph = node.graph
        if graph is None or not SIZES.covers(node, graph.opset_imports):
            return ()
        try:
            found = SIZES.find(node, graph.opset_imports)(node, self)
        except (ValueError, IndexError):  # operands that do not fit: the runtime will refuse them
            return ()
        outputs = found if isinstance(found, tuple) else (found,)
        return tuple(_short(output) for output in outputs)


_NUMBERS = frozenset(
    {ir.DataType.INT64, ir.DataType.INT32, ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.BOOL}
)
_INTEGERS = frozenset({ir.DataType.INT64, ir.DataType.INT32})
_HIGHEST_RANK = 64
"""Of NumPy's arrays."""

Followed = Extents | None | tuple[Extents | None, ...]
SIZES: RuleTable[Callable[[ir.Node, Sizes], Followed]] = RuleTable("index arithmetic")


def _short(elements: Extents | None) -> Extents | None:
    return None if elements is None or elements.size > LONGEST else elements


def _ints(node: ir.Node, name: str, index: int) -> list[int] | None:
    """Integers given as an attribute, or as a constant operand in later opsets."""
    given = node.attributes.get_ints(name)
    if given is not None:
        return list(given)
    array = constant_operand(node, index)
    return None if array is None else [int(number) for number in array.reshape(-1)]


@SIZES.rule("Shape", 1, 13, 15, 19, 21, 23, 24, 25)
def shape(node: ir.Node, sizes: Sizes) -> Followed:
    """The dimensions of its input."""
    dims = sizes.dims(node.inputs[0])
    if dims is None:
        return None
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(dims))
    return np.array([*dims[start:end], None], object)[:-1]  # None keeps the array from nesting


@SIZES.rule("Size", 1, 13, 19, 21, 23, 24, 25)
def size(node: ir.Node, sizes: Sizes) -> Followed:
    """The product of the dimensions of its input."""
    dims = sizes.dims(node.inputs[0])
    return None if dims is None else _as_array(product(dims))


def product(factors: Sequence[Extent | None]) -> Extent | None:
    """The product of numbers of which at most one grows; None if it is unknown."""
    total: Extent | None = Extent(0, 1)
    for factor in factors:
        total = None if total is None or factor is None else ext.multiplied(total, factor)
    return total


def _as_array(extent: Extent | None) -> Extents:
    array = np.empty((), object)
    array[()] = extent
    return array


@SIZES.family({
    "Identity": (1, 13, 14, 16, 19, 21, 23, 24, 25),
    "Abs": (1, 6, 13),  # sizes are not negative; other numbers are folded before
})  # fmt: skip
def same(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input; the absolute value only of what is not negative."""
    elements = sizes.of(node.inputs[0])
    if elements is None or node.op_type == "Identity":
        return elements
    return lifted(lambda a: a if a.least is not None and a.least >= 0 else None)(elements)


@SIZES.rule("Gather", 1, 11, 13)
def gather(node: ir.Node, sizes: Sizes) -> Followed:
    """The elements at constant places."""
    elements, places = sizes.of(node.inputs[0]), constant_operand(node, 1)
    if elements is None or places is None or elements.ndim == 0:
        return None
    axis = node.attributes.get_int("axis", 0)
    length = elements.shape[axis]
    if ((places < -length) | (places >= length)).any():
        return None
    return np.asarray(np.take(elements, places.astype(np.int64), axis), object)


@SIZES.rule("Slice", 1, 10, 11, 13)
def slices(node: ir.Node, sizes: Sizes) -> Followed:
    """The elements between constant places."""
    elements = sizes.of(node.inputs[0])
    starts, ends = _ints(node, "starts", 1), _ints(node, "ends", 2)
    if elements is None or starts is None or ends is None:
        return None
    axes, steps = _ints(node, "axes", 3), _ints(node, "steps", 4)
    cut = [slice(None)] * elements.ndim
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = 1 if steps is None else steps[index]
        stop = None if step < 0 and end < -elements.size else end
        cut[index if axes is None else axes[index]] = slice(start, stop, step)
    return elements[tuple(cut)]


@SIZES.rule("Concat", 4, 11, 13)
def concat(node: ir.Node, sizes: Sizes) -> Followed:
    """All its inputs' elements; unknown ones where only the length of an input is known."""
    parts = [_elements_or_length(value, sizes) for value in node.inputs]
    known = [part for part in parts if part is not None]
    if len(known) != len(parts) or sum(part.size for part in known) > LONGEST:
        return None
    return np.concatenate(known, axis=node.attributes.get_int("axis", 0))


def _elements_or_length(value: ir.Value | None, sizes: Sizes) -> Extents | None:
    elements = sizes.of(value)
    if elements is not None or value is None or value.shape is None or value.shape.rank() != 1:
        return elements
    length = value.shape[0]
    return np.empty(length, object) if isinstance(length, int) and length <= LONGEST else None


@SIZES.rule("Unsqueeze", 1, 11, 13, 21, 23, 24, 25)
def unsqueeze(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input with further axes of length 1."""
    elements, axes = sizes.of(node.inputs[0]), _ints(node, "axes", 1)
    if elements is None or axes is None or len(axes) > _HIGHEST_RANK:
        return None
    return np.expand_dims(elements, tuple(axes))


@SIZES.rule("Squeeze", 1, 11, 13, 21, 23, 24, 25)
def squeeze(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input without axes of length 1."""
    elements, axes = sizes.of(node.inputs[0]), _ints(node, "axes", 1)
    if elements is None:
        return None
    return np.asarray(np.squeeze(elements, None if axes is None else tuple(axes)), object)


@SIZES.rule("Reshape", 5, 13, 14, 19, 21, 23, 24, 25)
def reshape(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input in another shape."""
    elements, target = sizes.of(node.inputs[0]), constant_operand(node, 1)
    if elements is None or target is None:
        return None
    return elements.reshape([int(size) for size in target])


@SIZES.rule("Cast", 6, 9, 13, 19, 21, 23, 24, 25, 28)
def cast(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input; integers lose the fraction."""
    elements = sizes.of(node.inputs[0])
    target = ir.DataType(node.attributes.get_int("to", 0))
    if elements is None or target not in _NUMBERS:
        return None
    if target == ir.DataType.BOOL:
        return lifted(ext.negation)(lifted(ext.is_equal)(elements, _as_array(Extent(0, 0))))
    return lifted(ext.as_integer)(elements) if target in _INTEGERS else elements


def _of_two(function: Callable[[Extent, Extent], Extent | None], *operands: Extents) -> Extents:
    total = operands[0]
    for operand in operands[1:]:
        total = lifted(function)(total, operand)
    return total


_OF_TWO: dict[str, Callable[[Extent, Extent], Extent | None]] = {
    "Add": ext.added, "Sub": ext.subtracted, "Mul": ext.multiplied, "Mod": ext.remainder,
    "Min": ext.smaller, "Max": ext.larger, "Equal": ext.is_equal, "Less": ext.is_less,
    "Greater": lambda a, b: ext.is_less(b, a),
    "GreaterOrEqual": lambda a, b: _not(ext.is_less(a, b)),
    "LessOrEqual": lambda a, b: _not(ext.is_less(b, a)),
}  # fmt: skip


def _not(claim: Extent | None) -> Extent | None:
    return None if claim is None else ext.negation(claim)


@SIZES.family({
    "Add": (7, 13, 14), "Sub": (7, 13, 14), "Mul": (7, 13, 14), "Mod": (10, 13, 28),
    "Min": (6, 8, 12, 13), "Max": (6, 8, 12, 13), "Equal": (7, 11, 13, 19), "Less": (7, 9, 13),
    "Greater": (7, 9, 13), "GreaterOrEqual": (12, 16), "LessOrEqual": (12, 16),
})  # fmt: skip
def of_two(node: ir.Node, sizes: Sizes) -> Followed:
    """Element by element."""
    operands = _all_known(node, sizes)
    return None if operands is None else _of_two(_OF_TWO[node.op_type], *operands)


def _all_known(node: ir.Node, sizes: Sizes) -> list[Extents] | None:
    operands = [sizes.of(value) for value in node.inputs]
    known = [operand for operand in operands if operand is not None]
    return known if len(known) == len(operands) and _fits(known) else None


def _fits(operands: Sequence[Extents]) -> bool:
    try:
        shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    except ValueError:
        return False
    return math.prod(shape) <= LONGEST


@SIZES.rule("Div", 7, 13, 14)
def div(node: ir.Node, sizes: Sizes) -> Followed:
    """Element by element; rounded towards 0 for integers."""
    operands, x = _all_known(node, sizes), node.inputs[0]
    if operands is None or x is None or x.dtype is None:
        return None
    return _of_two(ext.quotient if x.dtype in _INTEGERS else ext.divided, *operands)


@SIZES.family({"Neg": (1, 6, 13), "Floor": (1, 6, 13), "Ceil": (1, 6, 13), "Not": (1,)})
def of_one(node: ir.Node, sizes: Sizes) -> Followed:
    """Element by element."""
    functions: dict[str, Callable[[Extent], Extent | None]] = {
        "Neg": ext.negated,
        "Floor": ext.rounded(math.floor),
        "Ceil": ext.rounded(math.ceil),
        "Not": ext.negation,
    }
    operands = _all_known(node, sizes)
    return None if operands is None else lifted(functions[node.op_type])(*operands)


@SIZES.rule("Where", 9, 16)
def where(node: ir.Node, sizes: Sizes) -> Followed:
    """One or the other, element by element."""
    operands = _all_known(node, sizes)
    if operands is None:
        return None
    return ext.elementwise(_chosen, *operands)


def _chosen(claim: Extent | None, yes: Extent | None, no: Extent | None) -> Extent | None:
    if claim is None:
        return None
    return yes if claim.offset else no


@SIZES.family({"ReduceProd": (1, 11, 13, 18), "ReduceSum": (1, 11, 13)})
def reduce(node: ir.Node, sizes: Sizes) -> Followed:
    """The product or the sum of a vector."""
    elements = sizes.of(node.inputs[0])
    if elements is None or elements.ndim != 1 or _ints(node, "axes", 1) not in (None, [0], [-1]):
        return None
    if node.op_type == "ReduceProd":
        total = product(list(elements))
    else:
        total = _of_two(ext.added, _as_array(Extent(0, 0)), *map(_as_array, elements)).item()
    kept = node.attributes.get_int("keepdims", 1)
    return _as_array(total).reshape([1] if kept else [])


@SIZES.rule("ConstantOfShape", 9, 20, 21, 23, 24, 25)
def constant_of_shape(node: ir.Node, sizes: Sizes) -> Followed:
    """A short vector of one number."""
    extents = sizes.of(node.inputs[0])
    target = None if extents is None else ext.constants_of(extents)
    if target is None or math.prod(target.tolist()) > LONGEST:
        return None
    number = node.attributes["value"].as_tensor().numpy() if "value" in node.attributes else 0
    return constant_extents(np.full([int(size) for size in target], number))


@SIZES.rule("Expand", 8, 13)
def expand(node: ir.Node, sizes: Sizes) -> Followed:
    """Its input broadcast to a constant shape."""
    elements, target = sizes.of(node.inputs[0]), constant_operand(node, 1)
    if elements is None or target is None:
        return None
    template = np.broadcast_shapes(elements.shape, tuple(int(size) for size in target))
    return np.broadcast_to(elements, template) if math.prod(template) <= LONGEST else None


@SIZES.rule("Split", 2, 11, 13, 18)
def split(node: ir.Node, sizes: Sizes) -> Followed:
    """Consecutive parts."""
    elements, parts = sizes.of(node.inputs[0]), _ints(node, "split", 1)
    if elements is None:
        return None
    axis = node.attributes.get_int("axis", 0)
    length, count = elements.shape[axis], len(node.outputs)
    if parts is None:
        step = -(-length // count)
        parts = [min(step, length - step * index) for index in range(count)]
    ends = np.cumsum([0, *parts]).tolist()
    places = [np.arange(start, end) for start, end in pairwise(ends)]
    return tuple(np.take(elements, part, axis) for part in places)


@SIZES.rule("Tile", 6, 13)
def tile(node: ir.Node, sizes: Sizes) -> Followed:
    """Copies of its input."""
    elements, repeats = sizes.of(node.inputs[0]), constant_operand(node, 1)
    if elements is None or repeats is None:
        return None
    if elements.size * math.prod(repeats.tolist()) > LONGEST:
        return None
    return np.tile(elements, [int(count) for count in repeats])


def as_constant(elements: Extents, dtype: ir.DataType | None) -> NDArray[np.generic] | None:
    """The array that a value holds for every batch size, or None."""
    array = ext.constants_of(elements)
    if array is None or dtype is None or dtype not in _NUMBERS:
        return None
    return array.astype(dtype.numpy())
