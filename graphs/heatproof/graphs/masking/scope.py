"""What a masking rule sees of the rewrite under way, and what it may do."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking.cells.filling import MATRIX_CELLS_PER_ROUND, Filler
from heatproof.graphs.masking.cells.hiding import Hider
from heatproof.graphs.masking.masks.borders import Box, image_box
from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.options import Fill, MaskingOptions
from heatproof.graphs.masking.states import NCHW, Axes, Flat, Mask, Spatial, State
from heatproof.graphs.operators.emitter import Dim, Emitter
from heatproof.graphs.operators.rules import Operator

Refill = Callable[[int], ir.Value]
"""Makes the filled version of one tensor, given the number of rounds."""


class Scope:
    """The graph being rewritten, with the state of every tensor seen so far.

    Attributes:
        op: adds nodes before the node under work.
        masks: derives masks.
        options: the caller's choices.
        batch: the batch dimension, a number or a symbol.
        hider: hides cells.
        states: tensors that derive from the image.
    """

    def __init__(self, graph: ir.Graph, options: MaskingOptions, batch: Dim) -> None:
        self.graph = graph
        self.op = Emitter(graph)
        self.masks = Pyramid(self.op, batch)
        self.options = options
        self.batch = batch
        self.states: dict[ir.Value, State] = {}
        self._filler = Filler(self.op, self.masks, batch)
        self.hider = Hider(self.op, self.masks)
        self._replaced: dict[ir.Value, ir.Value] = {}
        self._refills: dict[ir.Value, Refill] = {}

    @property
    def opset_imports(self) -> Mapping[str, int]:
        """Opset versions of the graph by domain."""
        return self.graph.opset_imports

    def state(self, value: ir.Value | None) -> State | None:
        """What is known of a tensor; None if it does not depend on the image."""
        return None if value is None else self.states.get(value)

    def spatial(self, node: ir.Node, index: int = 0) -> Spatial:
        """The state of an input that must have spatial axes."""
        state = self.state(node.inputs[index])
        if not isinstance(state, Spatial):
            raise self.refusal(node, f"input {index} has no spatial axes")
        return state

    def spatial_inputs(self, node: ir.Node) -> list[tuple[int, Spatial]]:
        """Positions and states of the inputs that have spatial axes."""
        states = ((index, self.state(value)) for index, value in enumerate(node.inputs))
        return [(index, state) for index, state in states if isinstance(state, Spatial)]

    def image(self, node: ir.Node) -> tuple[ir.Value, Spatial]:
        """The first input, which must have axes N, C, H, W."""
        value, state = node.inputs[0], self.spatial(node)
        if value is None or state.axes.joined(NCHW) != NCHW:
            raise self.refusal(node, "its spatial axes are not the last two of four")
        state = replace(state, axes=NCHW)
        for index, other in self.spatial_inputs(node)[1:]:
            raise self.refusal(node, f"input {index} depends on the image: {other.axes}")
        if value.shape is None or not isinstance(value.shape[1], int):
            raise self.refusal(node, "the number of channels is not static")
        return value, state

    def joint_axes(self, node: ir.Node, states: Sequence[Spatial]) -> Axes:
        """The spatial axes that the operands of a node have in common."""
        joint: Axes | None = states[0].axes
        for state in states[1:]:
            joint = None if joint is None else joint.joined(state.axes)
        if joint is None:
            raise self.refusal(node, "its operands have different spatial axes")
        return joint

    def visible(self, value: ir.Value, state: Spatial, hidden: float = 0.0) -> ir.Value:
        """The tensor with `hidden` in its hidden cells; made once per tensor."""
        return self.hider.visible(value, state, hidden)

    def filled(self, value: ir.Value, state: Spatial, rounds: int) -> ir.Value:
        """The tensor with its hidden cells filled from their neighbours in `rounds` rounds.

        Without a fill the hidden cells are zeros.
        """
        if value in self._refills:
            return self._refills[value](rounds)
        if self.options.fill is not Fill.NEIGHBOUR:
            return self.visible(value, state)
        box = image_box(state.mask)
        if box is not None:
            return self._filled_inside(value, state, rounds, box)
        rounds = min(rounds, max(state.mask.size) - 1)
        if rounds <= 0:
            return self.visible(value, state)
        if state.mask.height * state.mask.width <= MATRIX_CELLS_PER_ROUND * rounds:
            finite = value if state.finite else self.visible(value, state)
            return self._filler.product(finite, state.mask, rounds)
        return self._filler.filled(self.visible(value, state), state.mask, rounds)

    def _filled_inside(self, value: ir.Value, state: Spatial, rounds: int, box: Box) -> ir.Value:
        """The tensor with its image filled as if there were no border around it."""
        cut = box.cut(value, self.op)
        mask = self.masks.reading(state.mask, *box.lines())
        inner = self.filled(cut, Spatial(mask, state.axes, state.finite), rounds)
        framed = box.framed(inner, self.op)
        image = self.op.constant(box.cells()[None, None], ir.DataType.BOOL)
        return self.op("Where", image, framed, value, like=value)

    def declare_refill(self, value: ir.Value, refill: Refill) -> None:
        """Says how to make a filled version of a tensor other than by filling the tensor."""
        self._refills[value] = refill

    def exit(self, masks: Iterable[Mask]) -> Flat:
        """The state of a tensor that the image's information reaches from these masks."""
        return Flat(frozenset(masks))

    def replace_output(self, node: ir.Node, value: ir.Value) -> None:
        """Lets a new value take the place and name of the node's first output."""
        old = node.outputs[0]
        value.name, old.name = old.name, f"{old.name}_unmasked"
        if value.shape is None:
            value.shape = old.shape
        self._replaced[old] = value
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        self.graph.remove(node, safe=True)

    def outputs_of(self, node: ir.Node) -> list[ir.Value]:
        """The outputs of a node, or what has taken their place."""
        return [self._replaced.get(value, value) for value in node.outputs]

    def refusal(self, node: ir.Node, reason: str) -> UnsupportedOperatorError:
        """The error that says why a node has no sound rule."""
        operator = Operator.name_of(node, self.opset_imports)
        return UnsupportedOperatorError(
            f"node {node.name!r}: {operator} has no sound masking rule here: {reason}",
            metadata={"node": node.name or "", "operator": operator, "reason": reason},
        )
