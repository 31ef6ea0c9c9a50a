"""Operators that compute each cell from the same cell alone: the mask passes unchanged."""

import onnx_ir as ir

from heatproof.graphs.masking.constants import is_finite, number
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import Spatial
from heatproof.graphs.masking.table import RULES


@RULES.family(
    {
        "Abs": (1, 6, 13),
        "Asinh": (9, 22),
        "Atan": (7, 22),
        "BitwiseNot": (18,),
        "Cast": (1, 6, 9, 13, 19, 21, 23, 24, 25, 28),
        "CastLike": (15, 19, 21, 23, 24, 25),
        "Ceil": (1, 6, 13),
        "Celu": (12, 28),
        "Clip": (1, 6, 11, 12, 13),
        "Cos": (7, 22),
        "Elu": (1, 6, 22),
        "Erf": (9, 13),
        "Floor": (1, 6, 13),
        "Gelu": (20,),
        "HardSigmoid": (1, 6, 22),
        "HardSwish": (14, 22),
        "Identity": (1, 13, 14, 16, 19, 21, 23, 24, 25),
        "LeakyRelu": (1, 6, 16),
        "Mish": (18, 22),
        "Neg": (1, 6, 13),
        "Not": (1,),
        "Relu": (1, 6, 13, 14),
        "Round": (11, 22),
        "Selu": (1, 6, 22),
        "Shrink": (9,),
        "Sigmoid": (1, 6, 13),
        "Sign": (9, 13),
        "Sin": (7, 22),
        "Softplus": (1, 22),
        "Softsign": (1, 22),
        "Swish": (24,),
        "Tanh": (1, 6, 13),
        "ThresholdedRelu": (10, 22),
    }
)
def finite_function(node: ir.Node, scope: Scope) -> Spatial:
    """f(X): a function without poles keeps finite cells finite."""
    state = scope.spatial(node)
    return state if node.op_type in _COPIES else Spatial(state.mask, state.axes, state.finite)


_COPIES = frozenset({"Cast", "CastLike", "Identity"})  # of weights they make weights


@RULES.family(
    {
        "Acos": (7, 22),
        "Acosh": (9, 22),
        "Asin": (7, 22),
        "Atanh": (9, 22),
        "Cosh": (9, 22),
        "Exp": (1, 6, 13),
        "Log": (1, 6, 13),
        "Reciprocal": (1, 6, 13),
        "Sinh": (9, 22),
        "Sqrt": (1, 6, 13),
        "Tan": (7, 22),
        "IsInf": (10, 20),
        "IsNaN": (9, 13, 20),
    }
)
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
