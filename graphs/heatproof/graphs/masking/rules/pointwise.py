"""Operators that compute each cell from the same cell alone: the mask passes unchanged."""

import onnx_ir as ir

from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.constants import is_finite, number
from heatproof.graphs.operators.families import FINITE_FUNCTIONS, POLES, TESTS
from heatproof.graphs.operators.traits import Trait, has, versions_of


@RULES.family(versions_of(FINITE_FUNCTIONS))
def finite_function(node: ir.Node, scope: Scope) -> Spatial:
    """f(X): a function without poles keeps finite cells finite."""
    state = scope.spatial(node)
    if has(node, Trait.COPY):  # of weights it makes weights
        return state
    return Spatial(state.mask, state.axes, state.finite)


@RULES.family(versions_of(POLES, TESTS))
def function_with_poles(node: ir.Node, scope: Scope) -> Spatial:
    """f(X), which may be infinite or NaN in a hidden cell."""
    state = scope.spatial(node)
    return Spatial(state.mask, state.axes, finite=False)


@RULES.rule("Dropout", 7, 10, 12, 13, 22)
def dropout(node: ir.Node, scope: Scope) -> tuple[Spatial]:
    """X: at inference nothing is dropped."""
    training = node.inputs[2] if len(node.inputs) > 2 else None
    if training is not None and number(training) != 0:
        raise scope.refusal(node, "it drops at random; export the model in eval mode")
    return (scope.spatial(node),)


@RULES.rule("BatchNormalization", 1, 6, 7, 9, 14, 15)
def batch_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """An affine map of each channel, with the statistics of training."""
    state = _of_channels(node, scope)
    if node.attributes.get_int("training_mode", 0):
        raise scope.refusal(node, "it takes statistics of its batch; export the model in eval mode")
    finite = state.finite and all(map(is_finite, node.inputs[1:]))
    return Spatial(state.mask, state.axes, finite)


@RULES.rule("LRN", 1, 13)
def local_response_normalization(node: ir.Node, scope: Scope) -> Spatial:
    """Divides by neighbouring channels of the same cell."""
    state = _of_channels(node, scope)
    return Spatial(state.mask, state.axes, finite=False)


def _of_channels(node: ir.Node, scope: Scope) -> Spatial:
    state = scope.spatial(node)
    if 1 in state.axes.spatial:
        raise scope.refusal(node, "its axis 1 holds cells, not channels")
    if any(scope.state(value) is not None for value in node.inputs[1:]):
        raise scope.refusal(node, "its parameters depend on the image")
    return state
