"""Finds SpaceToDepth and DepthToSpace where exporters write them in other operators.

1. Reshape-Transpose-Reshape over six axes, as torch writes pixel (un)shuffling.
2. Concat of all strided slices of one map, as in the Focus layer of YOLOX.

Apart, the slices of a Focus layer would vote on the mask of their concatenation; together they are
the first half of a convolution of stride b, whose mask is a max pool.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.graphs.masking.slices import slices_of
from heatproof.graphs.nodes.constants import constant

_MODES_SINCE = 11  # opset that gave DepthToSpace its modes


def name_rearrangements(model: ir.Model) -> None:
    """Replaces rearrangements of blocks by the operators of that name, in place."""
    for node in list(model.graph):
        if node.op_type == "Reshape":
            _name_shuffle(node, model.opset_imports[""])
        elif node.op_type == "Concat":
            _name_focus(node)
    common.RemoveUnusedNodesPass()(model)


class _Shuffle(NamedTuple):
    """Reshape-Transpose-Reshape: what it reads, sizes on the way, the order of six axes."""

    x: ir.Value
    before: list[int]
    split: list[int]
    order: tuple[int, ...]
    after: list[int]


def _name_shuffle(last: ir.Node, opset: int) -> None:
    """Case 1."""
    shuffle = _shuffle(last)
    if shuffle is None:
        return
    if _gathers_blocks(shuffle):
        size = shuffle.split[3]
        # SpaceToDepth orders its channels by row of the block, column of the block, channel.
        source = np.arange(shuffle.after[1]).reshape(size, size, shuffle.before[1])
        axes = [(3, 5, 1).index(axis) for axis in shuffle.order[1:4]]
        _become_blocks(last, shuffle.x, size, source.transpose(axes).reshape(-1).tolist())
    elif _spreads_blocks(shuffle) and opset >= _MODES_SINCE:
        mode = "CRD" if shuffle.order[1] == 1 else "DCR"
        attributes: dict[str, int | str] = {"blocksize": shuffle.split[2], "mode": mode}
        _replace(last, [ir.node("DepthToSpace", [shuffle.x], attributes)])


def _shuffle(last: ir.Node) -> _Shuffle | None:
    middle = _maker(last.inputs[0], "Transpose")
    first = None if middle is None else _maker(middle.inputs[0], "Reshape")
    if middle is None or first is None or first.inputs[0] is None:
        return None
    sizes = [_sizes(value) for value in (first.inputs[0], first.outputs[0], last.outputs[0])]
    if [len(one) for one in sizes] != [4, 6, 4]:
        return None
    order = tuple(middle.attributes.get_ints("perm", ()))
    return _Shuffle(first.inputs[0], sizes[0], sizes[1], order, sizes[2])


def _maker(value: ir.Value | None, op_type: str) -> ir.Node | None:
    """The node of this type that makes a value which only one node reads."""
    node = None if value is None else value.producer()
    if node is None or value is None or node.op_type != op_type or value.is_graph_output():
        return None
    return node if len(value.uses()) == 1 else None


def _sizes(value: ir.Value) -> list[int]:
    """Sizes of all axes, 0 for the batch; empty if one is open."""
    sizes = [] if value.shape is None else list(value.shape)[1:]
    known = [size for size in sizes if isinstance(size, int)]
    return [0, *known] if len(known) == len(sizes) else []


def _gathers_blocks(shuffle: _Shuffle) -> bool:
    """[N, C, H/b, b, W/b, b] to [N, (C, b, b in any order), H/b, W/b]."""
    _, channels, height, width = shuffle.before
    size, order = shuffle.split[3], shuffle.order
    small = [height // size, width // size]
    return (
        shuffle.split[1:] == [channels, small[0], size, small[1], size]
        and sorted(order[:4]) == [0, 1, 3, 5]
        and (order[0], *order[4:]) == (0, 2, 4)
        and shuffle.after[1:] == [channels * size * size, *small]
    )


def _spreads_blocks(shuffle: _Shuffle) -> bool:
    """[N, b, b, C, H, W] or [N, C, b, b, H, W] to [N, C, H, b, W, b]."""
    _, channels, height, width = shuffle.before
    size = shuffle.split[2]
    thick = [size, size, channels // size**2]
    return (
        (shuffle.split[1:4], shuffle.order)
        in ((thick, (0, 3, 4, 1, 5, 2)), (thick[::-1], (0, 1, 4, 2, 5, 3)))
        and shuffle.split[4:] == [height, width]
        and shuffle.after[1:] == [channels // size**2, height * size, width * size]
    )


def _name_focus(node: ir.Node) -> None:
    """Case 2."""
    if node.attributes.get_int("axis", 1) not in (1, -3):
        return
    parts = [_strided(value) for value in node.inputs]
    xs, steps = {part.x for part in parts}, {part.step for part in parts}
    x, size = parts[0].x, parts[0].step
    if x is None or len(xs) > 1 or len(steps) > 1 or size < 2 or len(parts) != size**2:
        return
    first = [part.first for part in parts]
    sizes = _sizes(x)
    if len(set(first)) < len(parts) or len(sizes) != 4 or sizes[2] % size or sizes[3] % size:
        return
    channels = sizes[1]
    order = [(i * size + j) * channels + np.arange(channels) for i, j in first]
    _become_blocks(node, x, size, np.concatenate(order).tolist())


class _Strided(NamedTuple):
    """Every `step`-th row and column of x from the first on; step 1 where that is not so."""

    x: ir.Value | None
    first: tuple[int, int]
    step: int


def _strided(value: ir.Value | None) -> _Strided:
    cuts: dict[int, slice] = {}
    while (node := _maker_of_slice(value)) is not None:
        found = slices_of(node, 4)
        if found is None or cuts.keys() & found.keys():
            break
        cuts |= found
        value = node.inputs[0]
    sizes = _sizes(value) if value is not None else []
    if sorted(cuts) != [2, 3] or len(sizes) != 4 or cuts[2].step != cuts[3].step:
        return _Strided(None, (0, 0), 1)
    return _strided_by(cuts, value, sizes)


def _strided_by(cuts: Mapping[int, slice], value: ir.Value | None, sizes: list[int]) -> _Strided:
    ranges = [range(*cuts[axis].indices(sizes[axis])) for axis in (2, 3)]
    step = ranges[0].step
    if any(
        one.start >= step or len(one) != sizes[axis + 2] // step for axis, one in enumerate(ranges)
    ):
        return _Strided(None, (0, 0), 1)
    return _Strided(value, (ranges[0].start, ranges[1].start), step)


def _maker_of_slice(value: ir.Value | None) -> ir.Node | None:
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type == "Slice" else None


def _become_blocks(last: ir.Node, x: ir.Value, size: int, order: Sequence[int]) -> None:
    """SpaceToDepth, and its channels in the order of the original."""
    blocks = ir.node("SpaceToDepth", [x], {"blocksize": size})
    if list(order) == sorted(order):
        _replace(last, [blocks])
        return
    chosen = constant(f"{last.name}/order", np.array(order, np.int64))
    if isinstance(last.graph, ir.Graph):
        last.graph.register_initializer(chosen)
    _replace(last, [blocks, ir.node("Gather", [blocks.outputs[0], chosen], {"axis": 1})])


def _replace(last: ir.Node, nodes: list[ir.Node]) -> None:
    old = last.outputs[0]
    for index, node in enumerate(nodes):
        (output,) = node.outputs
        node.name = f"{last.name}/{node.op_type}"
        output.name, output.type, output.shape = f"{old.name}/{index}", old.type, old.shape
    if last.graph is not None:
        ir.convenience.replace_nodes_and_values(
            last.graph, last, [last], nodes, [old], nodes[-1].outputs
        )
