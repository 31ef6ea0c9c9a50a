"""Operators that change the resolution of a map by interpolating between its cells."""

import onnx_ir as ir

from heatproof.graphs.masking.masks.windows import Incidence
from heatproof.graphs.masking.rules.movement import moved, reach
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.resizing import interpolation, resizing_blocker


@RULES.family({"Resize": (10, 11, 13, 18, 19), "Upsample": (7, 9)})
def resize(node: ir.Node, scope: Scope) -> Spatial:
    """Resize(fill(X, M, reach of the kernel)); visible where any cell of weight is."""
    value, state = node.inputs[0], scope.spatial(node)
    blocker = resizing_blocker(node)
    if blocker is not None or value is None:
        raise scope.refusal(node, blocker or "it has no input")
    lines = _lines(node, state, scope)
    rounds = max(map(reach, lines.values()), default=0)
    if rounds and state.axes != NCHW:
        raise scope.refusal(node, "it interpolates, and its spatial axes are not the last of four")
    if rounds:
        node.replace_input_with(0, scope.filled(value, state, rounds))
    return Spatial(moved(state, lines, scope, node), state.axes, state.finite or rounds > 0)


def _lines(node: ir.Node, state: Spatial, scope: Scope) -> dict[int, Incidence]:
    """Along each spatial axis, the places that cells of the result take their content from."""
    value, output = node.inputs[0], node.outputs[0]
    if value is None or value.shape is None or output.shape is None:
        raise scope.refusal(node, "the shape of its input or output is not known")
    lines: dict[int, Incidence] = {}
    for axis, (old, new) in enumerate(zip(value.shape, output.shape, strict=True)):
        if axis in state.axes.spatial:
            lines[axis] = _weighted(node, axis, (old, new), scope)
        elif axis > 0 and old != new:
            raise scope.refusal(node, f"it resizes axis {axis}, which is no spatial one")
    return lines


def _weighted(
    node: ir.Node, axis: int, lengths: tuple[int | ir.SymbolicDim, ...], scope: Scope
) -> Incidence:
    old, new = lengths
    if not isinstance(old, int) or not isinstance(new, int):
        raise scope.refusal(node, "the size of its result is not static")
    try:
        matrix = interpolation(node, scope.emit.opset, axis, (old, new))
    except LookupError as error:
        raise scope.refusal(node, str(error)) from error
    weighted: Incidence = matrix != 0
    return weighted
