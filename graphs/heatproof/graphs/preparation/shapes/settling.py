"""Writes what is known of sizes into the graph, so that rewrites find constants.

Exporters compute the targets of reshapes, the sizes of resizings and the ends of slices from the
shape of the image. All of them are known but for the batch.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant, constant_operand, replace_operand
from heatproof.graphs.preparation.inference import infer_node
from heatproof.graphs.preparation.shapes.extents import Extent, Extents, divided
from heatproof.graphs.preparation.shapes.rounding import round_down
from heatproof.graphs.preparation.shapes.sizes import Sizes, as_constant, product

BATCH = "N"
"""Name of a batch dimension that has none."""

_UNNAMED = ir.SymbolicDim(None)
_IMAGE_RANK = 4
_RESIZE_WITH_AXES = 18  # opset from which Resize can leave axes alone
_RESIZE_SIZES = 3  # position of the sizes

Dims = Sequence[Extent | None]


def name_batch(graph: ir.Graph) -> None:
    """Names the leading dimension of an image input, so that it can be told from others."""
    for value in graph.inputs:
        shape = value.shape
        if shape is not None and shape.rank() == _IMAGE_RANK and shape[0] == _UNNAMED:
            value.shape = ir.Shape([BATCH, *shape[1:]])


def _batch_of(graph: ir.Graph) -> str | None:
    """Name of the leading dimension of the first input that has one and is no vector."""
    shapes = [value.shape for value in graph.inputs if value.shape is not None]
    leading = [shape[0] for shape in shapes if shape.rank() > 1]
    names = [size.value for size in leading if isinstance(size, ir.SymbolicDim)]
    return next((name for name in names if name), None)


def settle(graph: ir.Graph) -> bool:
    """Makes index arithmetic constant wherever the batch does not enter it, in place.

    1. A value whose elements are all known becomes an initializer.
    2. Reshape to known sizes, one of which grows with the batch, gets -1 in its place.
    3. Expand along the batch of what has the batch already gets 1 in its place.
    4. Resize that keeps batch and channels names the other axes, from opset 18 on.
    5. Pools with ceil_mode get the padding that it stands for.

    Returns whether anything changed.
    """
    walk = _Walk(graph, Sizes(_batch_of(graph)))
    for node in tuple(graph):
        walk.visit(node)
    return walk.changed


class _Walk:
    """One pass over a graph in order; shapes follow what changes before them."""

    def __init__(self, graph: ir.Graph, sizes: Sizes) -> None:
        self._graph = graph
        self._sizes = sizes
        self._reshaped: set[ir.Value] = set()
        self.changed = False

    def visit(self, node: ir.Node) -> None:
        """Settles one node, whose inputs are settled."""
        before = [value.shape for value in node.outputs]
        settled = self._settle(node)
        if settled or not self._reshaped.isdisjoint(node.inputs):
            infer_node(node, self._graph.opset_imports)
        self.changed |= settled
        self._declare(node)
        for value, shape in zip(node.outputs, before, strict=True):
            if value.shape != shape:
                self._reshaped.add(value)
        for value, elements in zip(node.outputs, self._sizes.follow(node), strict=False):
            if elements is not None:
                self._sizes.known[value] = elements
                self._fix(value, elements)

    def _fix(self, value: ir.Value, elements: Extents) -> None:
        array = as_constant(elements, value.dtype)
        if array is None or value.is_graph_output() or not value.uses():
            return
        fixed = constant(f"{value.name}/settled", array)
        self._graph.register_initializer(fixed)
        ir.convenience.replace_all_uses_with(value, fixed)
        self._reshaped.add(fixed)
        self.changed = True

    def _settle(self, node: ir.Node) -> bool:
        if node.domain != "":
            return False
        if node.op_type in ("MaxPool", "AveragePool", "LpPool"):
            return round_down(node)
        rule = _RULES.get(node.op_type)
        return rule is not None and rule(node, self._sizes)

    def _declare(self, node: ir.Node) -> None:
        """Names the batch in shapes that inference leaves open."""
        rule = _SHAPES.get(node.op_type)
        dims = None if rule is None or node.domain != "" else rule(node, self._sizes)
        if dims is not None:
            declare(node.outputs[0], dims, self._sizes)


def declare(value: ir.Value, dims: Dims, sizes: Sizes) -> None:
    """Gives a value the dimensions that are known; others stay."""
    old = value.shape
    if old is not None and old.rank() != len(dims):
        return
    known = [sizes.dimension(extent) for extent in dims]
    if old is not None:
        known = [a if extent else b for a, b, extent in zip(known, old, dims, strict=True)]
    value.shape = ir.Shape(known)


def _target_of_reshape(node: ir.Node, sizes: Sizes) -> Dims | None:
    """The dimensions of the output of a Reshape; -1 follows from the number of elements."""
    target, x = sizes.of(node.inputs[1]), sizes.dims(node.inputs[0])
    if target is None or target.ndim != 1 or bool(node.attributes.get_int("allowzero", 0)):
        return None
    dims = [_copied(extent, index, x) for index, extent in enumerate(target)]
    free = [i for i, extent in enumerate(dims) if extent == Extent(0, -1)]
    if len(free) == 1 and x is not None:
        rest = product([extent for i, extent in enumerate(dims) if i not in free])
        total = product(x)
        dims[free[0]] = None if rest is None or total is None else _whole(divided(total, rest))
    return dims


def _copied(extent: Extent | None, index: int, x: Dims | None) -> Extent | None:
    """A size of a target; 0 copies that of the input."""
    if extent is None or not extent.is_constant or extent.offset != 0:
        return extent
    return x[index] if x is not None and index < len(x) else None


def _whole(extent: Extent | None) -> Extent | None:
    whole = extent is not None and all(
        float(number).is_integer() for number in (extent.slope, extent.offset)
    )
    return Extent(int(extent.slope), int(extent.offset)) if extent and whole else None


def _settle_reshape(node: ir.Node, sizes: Sizes) -> bool:
    if constant_operand(node, 1) is not None:
        return False
    dims = _target_of_reshape(node, sizes) or _declared_target(node, sizes)
    if dims is None:
        return False
    open_sizes = [extent for extent in dims if extent is None or not extent.is_constant]
    if len(open_sizes) > 1 or Extent(0, 0) in dims:
        return False
    fixed = [int(e.offset) if e is not None and e.is_constant else -1 for e in dims]
    replace_operand(node, 1, np.array(fixed, np.int64))
    declare(node.outputs[0], dims, sizes)
    return True


def _declared_target(node: ir.Node, sizes: Sizes) -> Dims | None:
    """What inference found of a target that could not be followed."""
    return sizes.dims(node.outputs[0])


def _settle_expand(node: ir.Node, sizes: Sizes) -> bool:
    target, x = sizes.of(node.inputs[1]), sizes.dims(node.inputs[0])
    if constant_operand(node, 1) is not None or target is None or x is None:
        return False
    if target.ndim != 1 or len(target) > len(x):
        return False
    added = len(x) - len(target)
    fixed = [
        1 if extent is not None and extent == x[added + axis] else _number(extent)
        for axis, extent in enumerate(target)
    ]
    if None in fixed:
        return False
    replace_operand(node, 1, np.array(fixed, np.int64))
    return True


def _number(extent: Extent | None) -> int | None:
    return int(extent.offset) if extent is not None and extent.is_constant else None


def _target_of_expand(node: ir.Node, sizes: Sizes) -> Dims | None:
    target, x = sizes.of(node.inputs[1]), sizes.dims(node.inputs[0])
    if target is None or x is None or target.ndim != 1:
        return None
    rank, one = max(len(target), len(x)), Extent(0, 1)
    pairs = zip(
        [one] * (rank - len(target)) + list(target), [one] * (rank - len(x)) + list(x), strict=True
    )
    return [b if a == one or a is None else a for a, b in pairs]


def _target_of_constant(node: ir.Node, sizes: Sizes) -> Dims | None:
    target = sizes.of(node.inputs[0])
    return None if target is None or target.ndim != 1 else list(target)


def _sizes_of_resize(node: ir.Node, sizes: Sizes) -> Dims | None:
    given = node.inputs[_RESIZE_SIZES] if len(node.inputs) > _RESIZE_SIZES else None
    policy = node.attributes.get_string("keep_aspect_ratio_policy", "stretch")
    elements = None if "axes" in node.attributes or policy != "stretch" else sizes.of(given)
    return None if elements is None or elements.ndim != 1 else list(elements)


def _settle_resize(node: ir.Node, sizes: Sizes) -> bool:
    target, x = _sizes_of_resize(node, sizes), sizes.dims(node.inputs[0])
    opset = 0 if node.graph is None else node.graph.opset_imports[""]
    if target is None or x is None or constant_operand(node, _RESIZE_SIZES) is not None:
        return False
    changing = [axis for axis, (a, b) in enumerate(zip(target, x, strict=True)) if a != b]
    fixed = [_number(target[axis]) for axis in changing]
    if opset < _RESIZE_WITH_AXES or not changing or None in fixed:
        return False
    node.attributes["axes"] = ir.AttrInt64s("axes", changing)
    replace_operand(node, _RESIZE_SIZES, np.array(fixed, np.int64))
    return True


_RULES = {"Reshape": _settle_reshape, "Expand": _settle_expand, "Resize": _settle_resize}
_SHAPES = {
    "Reshape": _target_of_reshape,
    "Expand": _target_of_expand,
    "ConstantOfShape": _target_of_constant,
    "Resize": _sizes_of_resize,
}
