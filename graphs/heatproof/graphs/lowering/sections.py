"""Stretches of a graph along which channels do not meet.

A section starts at a 1 x 1 convolution, which makes channels, and goes on while every operator
computes each channel from the same channel: activations, depthwise convolutions, pools. Its one
result may be read by a convolution that mixes channels, the mixer.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.operators.traits import Trait, has, traits_of

_POOL = Trait.PER_CHANNEL | Trait.WINDOW


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a graph.

    Attributes:
        nodes: in the order of the graph, the 1 x 1 convolution first.
        result: the only tensor of the section that is read outside.
        mixer: the convolution that alone reads the result, if one does.
    """

    nodes: tuple[ir.Node, ...]
    result: ir.Value
    mixer: ir.Node | None

    @property
    def channels(self) -> int:
        """Channels of every tensor in the section."""
        return _sizes(self.result)[0]

    @property
    def cells(self) -> int:
        """Cells of the widest map."""
        return max(height * width for _, height, width in map(_sizes, self._values()))

    @property
    def reads_neighbours(self) -> bool:
        """Whether a depthwise convolution, a pool or the mixer reads more than its own cell."""
        mixes_cells = self.mixer is not None and _kernel(self.mixer) != (1, 1)
        return mixes_cells or any(has(node, Trait.WINDOW) for node in self.nodes[1:])

    @property
    def hides(self) -> bool:
        """Whether cells are hidden or filled in it."""
        return any(role_of(node) is not None for node in self.nodes)

    def _values(self) -> Iterator[ir.Value]:
        return (node.outputs[0] for node in self.nodes)


def section_from(source: ir.Node) -> Section | None:
    """The longest section that starts at a node, or None if none does."""
    if not _makes_channels(source):
        return None
    nodes, longest = [source], 0
    while True:
        if len(_read_outside(nodes)) == 1 and _pays(nodes[-1]):
            longest = len(nodes)
        following = next(_following(nodes), None)
        if following is None:
            break
        nodes.append(following)
    if not longest:
        return None
    nodes = nodes[:longest]
    result = _read_outside(nodes)[0]
    return Section(tuple(nodes), result, _mixer(result))


def _pays(last: ir.Node) -> bool:
    """Whether a section may end with a node: what is hidden for others is hidden at once."""
    return role_of(last) is not Role.HIDING or _mixer(last.outputs[0]) is not None


def is_per_channel(operand: ir.Value, channels: int) -> bool | None:
    """Whether a constant operand differs between channels; None if it has no clear channel axis."""
    if operand.const_value is None:
        return None
    shape = operand.const_value.shape.numpy()
    size = shape[-3] if len(shape) >= 3 else 1  # [..., channels, height, width]
    return None if size not in (1, channels) else size != 1


def _makes_channels(node: ir.Node) -> bool:
    return (
        _mixes_channels(node)
        and _kernel(node) == (1, 1)
        and set(node.attributes.get_ints("strides", (1,))) == {1}
        and not any(node.attributes.get_ints("pads", ()))
        and 0 not in _sizes(node.outputs[0])
        and node.outputs[0].dtype == ir.DataType.FLOAT
    )


def _mixes_channels(node: ir.Node) -> bool:
    return (
        node.op_type == "Conv"
        and node.attributes.get_int("group", 1) == 1
        and _kernel(node) is not None
        and all(value is None or value.const_value is not None for value in node.inputs[1:])
    )


def _kernel(node: ir.Node) -> tuple[int, ...] | None:
    """Height and width of a convolution's constant kernel."""
    weights = None if node.inputs[1] is None else node.inputs[1].const_value
    return None if weights is None else tuple(weights.shape.numpy()[2:])


def _sizes(value: ir.Value) -> tuple[int, int, int]:
    """Channels, height and width; 0 where not known."""
    if value.shape is None or value.shape.rank() != 4:  # [N, channels, height, width]
        return 0, 0, 0
    channels, height, width = (size if isinstance(size, int) else 0 for size in value.shape[1:])
    return channels, height, width


def _following(nodes: list[ir.Node]) -> Iterator[ir.Node]:
    """Nodes that could be the next of a section."""
    values = {node.outputs[0] for node in nodes}
    readers = [user for node in nodes for user, _ in node.outputs[0].uses()]
    channels = _sizes(nodes[0].outputs[0])[0]
    return (
        reader
        for reader in readers
        if reader not in nodes and _keeps_channels_apart(reader, values, channels)
    )


def _keeps_channels_apart(node: ir.Node, values: set[ir.Value], channels: int) -> bool:
    if len(node.outputs) != 1 or node.domain or _sizes(node.outputs[0])[0] != channels:
        return False
    others = [value for value in node.inputs if value is not None and value not in values]
    if 0 in _sizes(node.outputs[0]) or not all(map(_is_constant_or_mask, others)):
        return False
    if node.op_type == "Conv":
        return node.inputs[0] in values and node.attributes.get_int("group", 1) == channels
    if node.op_type == "BatchNormalization":
        return not node.attributes.get_int("training_mode", 0)
    traits = traits_of(node)
    if Trait.ELEMENTWISE in traits:
        return all(
            value.const_value is None or is_per_channel(value, channels) is not None
            for value in others
        )
    return Trait.POINTWISE in traits or _POOL in traits


def _is_constant_or_mask(operand: ir.Value) -> bool:
    """Whether an operand is there before the section, and is sliced or serves each channel."""
    return operand.const_value is not None or _sizes(operand)[0] == 1


def _read_outside(nodes: list[ir.Node]) -> list[ir.Value]:
    return [
        value
        for node in nodes
        for value in node.outputs
        if value.is_graph_output() or any(user not in nodes for user, _ in value.uses())
    ]


def _mixer(result: ir.Value) -> ir.Node | None:
    uses = list(result.uses())
    if len(uses) != 1 or result.is_graph_output():
        return None
    node, index = uses[0]
    return node if index == 0 and _mixes_channels(node) else None
