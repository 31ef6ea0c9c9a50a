"""Computes wide maps in groups of channels, one group after the other.

Between the 1 x 1 convolution E that makes a map and the convolution D that mixes its channels,
channels do not meet. With E_g the outputs of E, and D_g the inputs of D, that belong to group g,

    D(h(E(x)))  =  sum over g of D_g(h_g(E_g(x)))

Where something else than a convolution reads h, the groups are concatenated. The fill reads and
writes its map several times: a group stays in the processor's cache meanwhile, the map does not,
and masks need to be spread over the channels of one group only. Matters for speed and memory;
results change by the order of the sums alone.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.lowering.sections import Section, is_per_channel, section_from
from heatproof.graphs.nodes.constants import constant
from heatproof.graphs.operators.emitter import Attributes, Dim, Emitter, attributes_of

BLOCK = 16
"""Channels of a group are a multiple of this, the widest block of ONNX Runtime's layout."""

LEAST_GROUP = 2 * BLOCK * 28 * 28
"""Elements below which a group is no better off in the cache."""

LEAST_MAP = 1 << 18
"""Elements below which a map stays whole."""


def partition(model: ir.Model) -> None:
    """Splits the wide maps of a layer-masked graph, in place; names of other tensors are kept.

    What holds no node that hides or fills cells stays whole, and with it the order of its sums.
    """
    graph = model.graph
    op: Emitter | None = None  # it reads all names of a graph when it is made
    for node in tuple(graph):
        section = section_from(node) if node.graph is graph else None
        if section is not None and section.reads_neighbours and section.hides:
            size = group_size(section.channels, section.cells)
            if size < section.channels:
                op = op or Emitter(graph)
                _split(graph, section, size, op)


def group_size(channels: int, cells: int) -> int:
    """Channels of a group, for a map of so many channels and cells."""
    if channels * cells < LEAST_MAP:
        return channels
    return BLOCK * -(-LEAST_GROUP // (BLOCK * cells))


def _split(graph: ir.Graph, section: Section, size: int, op: Emitter) -> None:
    last = section.mixer or section.nodes[-1]
    starts = range(0, section.channels, size)
    groups = [slice(start, min(start + size, section.channels)) for start in starts]
    op.before(last)
    writer = _Writer(graph, op)
    parts = [(group, writer.part(section, group)) for group in groups]
    _, total = parts[0]
    if section.mixer is None:
        values = [part for _, part in parts]
        total = writer.node("Concat", values, {"axis": 1}, like=section.result, group=groups[0])
    else:
        for group, part in parts[1:]:
            # ONNX Runtime lets the convolution of the first operand add to the second in place.
            total = writer.node("Add", [part, total], {}, like=part, group=group)
    _replace(last.outputs[0], total)
    gone = (*section.nodes, *([section.mixer] if section.mixer else []))
    graph.remove(gone, safe=True)


def _replace(old: ir.Value, new: ir.Value) -> None:
    """The new value takes the old one's place and name."""
    new.name, old.name = old.name, f"{old.name}_whole"
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


class _Writer:
    """Writes the nodes of groups into a graph."""

    def __init__(self, graph: ir.Graph, op: Emitter) -> None:
        self._graph = graph
        self._op = op

    def part(self, section: Section, group: slice) -> ir.Value:
        """The section's result, or the mixer's, from the channels of one group."""
        values: dict[ir.Value | None, ir.Value] = {}
        for node in section.nodes:
            operands = [
                values[value] if value in values else self._operand(node, index, section, group)
                for index, value in enumerate(node.inputs)
            ]
            values[node.outputs[0]] = self._channelwise(node, operands, group)
        result = values[section.result]
        return result if section.mixer is None else self._mixed(section.mixer, result, group)

    def _channelwise(
        self, node: ir.Node, operands: Sequence[ir.Value | None], group: slice
    ) -> ir.Value:
        attributes = attributes_of(node)
        if attributes.get("group", 1) != 1:
            attributes["group"] = group.stop - group.start
        sizes = list(node.outputs[0].shape or ())
        sizes[1] = group.stop - group.start
        return self.node(
            node.op_type,
            operands,
            attributes,
            like=node.outputs[0],
            shape=sizes,
            group=group,
            notes=node.metadata_props,
        )

    def _mixed(self, mixer: ir.Node, result: ir.Value, group: slice) -> ir.Value:
        weights, *bias = mixer.inputs[1:]
        operands = [result, self._sliced(weights, group, 1), *(() if group.start else bias)]
        output = mixer.outputs[0]
        return self.node("Conv", operands, attributes_of(mixer), like=output, group=group)

    def node(
        self,
        op_type: str,
        operands: Sequence[ir.Value | None],
        attributes: Attributes,
        *,
        like: ir.Value,
        shape: Sequence[Dim] | None = None,
        group: slice,
        notes: Mapping[str, str] | None = None,
    ) -> ir.Value:
        """Adds a node, of the type of `like`, and of its shape if none is given."""
        name = f"{like.name}_channels_{group.start}_{op_type}"
        output = self._op(op_type, *operands, like=like, shape=shape, name=name, **attributes)
        maker = output.producer()
        if maker is not None:
            maker.metadata_props.update(notes or {})
        return output

    def _operand(
        self, node: ir.Node, index: int, section: Section, group: slice
    ) -> ir.Value | None:
        """What a group reads of an operand from outside the section."""
        value = node.inputs[index]
        if value is None or (node is section.nodes[0] and index == 0):
            return value
        if node.op_type in ("Conv", "BatchNormalization"):
            return self._sliced(value, group, 0)
        if is_per_channel(value, section.channels):
            return self._sliced(value, group, -3)
        return value

    def _sliced(self, value: ir.Value | None, group: slice, axis: int) -> ir.Value:
        """A constant's elements of one group along an axis."""
        if value is None or value.const_value is None:
            message = "sections hold constant operands only"
            raise TypeError(message)
        array = value.const_value.numpy()
        places = [slice(None)] * array.ndim
        places[axis] = group
        name = f"{value.name}_channels_{group.start}_{group.stop}_of_axis_{axis % array.ndim}"
        if name not in self._graph.initializers:
            part = np.ascontiguousarray(array[tuple(places)])
            self._graph.register_initializer(constant(name, part))
        return self._graph.initializers[name]
