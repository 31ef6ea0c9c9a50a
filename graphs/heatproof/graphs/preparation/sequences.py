"""Resolves sequences of tensors whose elements the graph tells.

`chunk`, `unbind` and lists of Python become sequences where an exporter goes by an old operator
set. Rewrites know tensors only: a part of a sequence becomes an output of Split, and what joins
one becomes Concat.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.tape import Tape

from heatproof.graphs.nodes.constants import constant_operand

Elements: TypeAlias = tuple[ir.Value, ...]

_MOST = 1024
"""Elements of a sequence; one that has more stays as it is."""

_AS_INPUTS = 13
"""Operator set from which on sizes and axes are inputs."""


def resolve_sequences(graph: ir.Graph) -> bool:
    """Replaces, in place, what reads elements of known sequences; whether anything was.

    Elements are known of SequenceEmpty, SequenceConstruct, SequenceInsert and SequenceErase, and,
    as soon as its sizes are, of SplitToSequence.
    """
    return _Resolution(graph).run()


class _Resolution:
    """One pass over a graph in order."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.opset = graph.opset_imports[""]
        self._known: dict[ir.Value, Elements] = {}
        self._changed = False

    def run(self) -> bool:
        for node in tuple(self.graph):
            if node.domain == "" and node.op_type in _MAKERS:
                self._make(node)
            elif node.domain == "" and node.op_type in _READERS:
                self._read(node)
        return self._changed

    def elements(self, node: ir.Node) -> Elements | None:
        """Of the sequence that a node reads first; None if they are not known."""
        return None if node.inputs[0] is None else self._known.get(node.inputs[0])

    def numbers(self, numbers: list[int], tape: Tape) -> ir.Value:
        """A constant of int64."""
        return tape.op("Constant", [], {"value": ir.tensor(np.array(numbers, np.int64))})

    def on_axis(self, op_type: str, value: ir.Value, axis: int, tape: Tape) -> ir.Value:
        """Squeeze or Unsqueeze of one axis."""
        if self.opset < _AS_INPUTS:
            return tape.op(op_type, [value], {"axes": [axis]})
        return tape.op(op_type, [value, self.numbers([axis], tape)])

    def _make(self, node: ir.Node) -> None:
        tape = Tape()
        elements = _MAKERS[node.op_type](node, self, tape)
        if elements is not None and len(elements) <= _MOST:
            self.graph.insert_before(node, tape.nodes)
            self._known[node.outputs[0]] = elements

    def _read(self, node: ir.Node) -> None:
        elements = self.elements(node)
        tape = Tape()
        if elements is None:
            return
        result = _READERS[node.op_type](node, elements, self, tape)
        if result is None:
            return
        if tape.nodes:
            result.shape, result.type = node.outputs[0].shape, node.outputs[0].type
        else:  # the element itself, which may be an output of the graph or go by an input's name
            result = tape.op("Identity", [result])
        ir.convenience.replace_nodes_and_values(
            self.graph, node, [node], tape.nodes, node.outputs[:1], [result]
        )
        self._changed = True


def _construct(node: ir.Node, _: _Resolution, __: Tape) -> Elements | None:
    given = tuple(value for value in node.inputs if value is not None)
    return given if len(given) == len(node.inputs) else None


def _empty(_: ir.Node, __: _Resolution, ___: Tape) -> Elements:
    return ()


def _insert(node: ir.Node, resolution: _Resolution, _: Tape) -> Elements | None:
    elements, added = resolution.elements(node), node.inputs[1]
    if elements is None or added is None:
        return None
    place = _place(node, 2, len(elements) + 1, len(elements))
    return None if place is None else (*elements[:place], added, *elements[place:])


def _erase(node: ir.Node, resolution: _Resolution, _: Tape) -> Elements | None:
    elements = resolution.elements(node)
    if elements is None:
        return None
    place = _place(node, 1, len(elements), len(elements) - 1)
    return None if place is None else elements[:place] + elements[place + 1 :]


def _split(node: ir.Node, resolution: _Resolution, tape: Tape) -> Elements | None:
    x, axis = node.inputs[0], node.attributes.get_int("axis", 0)
    sizes = _sizes(node, axis)
    if x is None or sizes is None:
        return None
    count = len(sizes)
    if resolution.opset < _AS_INPUTS:
        parts = tape.op_multi_out("Split", [x], {"axis": axis, "split": sizes}, num_outputs=count)
    else:
        given = [x, resolution.numbers(sizes, tape)]
        parts = tape.op_multi_out("Split", given, {"axis": axis}, num_outputs=count)
    keeps = node.attributes.get_int("keepdims", 1)
    if len(node.inputs) > 1 or keeps:
        return tuple(parts)
    return tuple(resolution.on_axis("Squeeze", part, axis, tape) for part in parts)


def _sizes(node: ir.Node, axis: int) -> list[int] | None:
    """Of the parts: those given, equal ones with a smaller last one, or ones."""
    x = node.inputs[0]
    if x is None or x.shape is None or not -len(x.shape) <= axis < len(x.shape):
        return None
    size = x.shape[axis]
    if not isinstance(size, int):
        return None
    sizes = [1] * size if len(node.inputs) == 1 and size <= _MOST else _given(node, size)
    return sizes if sizes and sum(sizes) == size and len(sizes) <= _MOST else None


def _given(node: ir.Node, size: int) -> list[int] | None:
    given = constant_operand(node, 1)
    if given is None or (given.size and given.min() < 1):
        return None
    if given.ndim:
        return [int(one) for one in given]
    step = int(given)
    if size > step * _MOST:
        return None
    return [min(step, size - start) for start in range(0, size, step)]


def _place(node: ir.Node, index: int, count: int, default: int) -> int | None:
    """A position among `count`, negative ones from the end; None where it is computed or none."""
    is_given = index < len(node.inputs) and node.inputs[index] is not None
    given = constant_operand(node, index) if is_given else np.array(default)
    place = None if given is None or given.size != 1 else int(given.reshape(()))
    return place % count if place is not None and count and -count <= place < count else None


def _at(node: ir.Node, elements: Elements, _: _Resolution, __: Tape) -> ir.Value | None:
    place = _place(node, 1, len(elements), 0)
    return None if place is None else elements[place]


def _joined(
    node: ir.Node, elements: Elements, resolution: _Resolution, tape: Tape
) -> ir.Value | None:
    if not elements:
        return None
    axis = node.attributes.get_int("axis", 0)
    if node.attributes.get_int("new_axis", 0):
        elements = tuple(resolution.on_axis("Unsqueeze", one, axis, tape) for one in elements)
    return tape.op("Concat", elements, {"axis": axis})


def _length(_: ir.Node, elements: Elements, __: _Resolution, tape: Tape) -> ir.Value:
    count: NDArray[np.int64] = np.array(len(elements), np.int64)
    return tape.op("Constant", [], {"value": ir.tensor(count)})


_MAKERS: Mapping[str, Callable[[ir.Node, _Resolution, Tape], Elements | None]] = MappingProxyType(
    {
        "SequenceConstruct": _construct,
        "SequenceEmpty": _empty,
        "SequenceErase": _erase,
        "SequenceInsert": _insert,
        "SplitToSequence": _split,
    }
)

_READERS: Mapping[str, Callable[[ir.Node, Elements, _Resolution, Tape], ir.Value | None]] = (
    MappingProxyType({"ConcatFromSequence": _joined, "SequenceAt": _at, "SequenceLength": _length})
)
