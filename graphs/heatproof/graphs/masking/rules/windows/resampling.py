"""Operators that change the resolution of a map by interpolating between its cells."""

import onnx_ir as ir

from heatproof.graphs.masking.rules.movement import field_span, moved
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.resizing import crops, interpolation
from heatproof.graphs.operators.windows import Incidence


@RULES.rule("Resize", 11, 13, 18, 19)
def resize(node: ir.Node, scope: Scope) -> Spatial:
    """Resize(fill(X, M, reach of the kernel)); visible where any cell of weight is."""
    value, state = node.inputs[0], scope.spatial(node)
    if value is None or crops(node):
        raise scope.refusal(node, "it crops (coordinate_transformation_mode tf_crop_and_resize)")
    lines = _lines(node, state, scope)
    rounds = max(map(field_span, lines.values()), default=0)
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
            lines[axis] = _weighted(node, axis, scope)
        elif axis > 0 and old != new:
            raise scope.refusal(node, f"it resizes axis {axis}, which is no spatial one")
    return lines


def _weighted(node: ir.Node, axis: int, scope: Scope) -> Incidence:
    try:
        matrix = interpolation(node, axis, scope.op.opset)
    except LookupError as error:
        raise scope.refusal(node, str(error)) from error
    weighted: Incidence = matrix.T != 0
    return weighted
