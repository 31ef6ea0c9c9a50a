"""Which functions of finite numbers may be infinite or NaN, told of gates, which have no cells.

A gate may divide by a norm, which is zero where no cell is visible.
"""

import onnx_ir as ir

from heatproof.graphs.nodes.constants import is_finite
from heatproof.graphs.operators.traits import Trait, has, traits_of


def keeps_finite(node: ir.Node) -> bool:
    """Whether a node's results are finite wherever what it reads from the image is."""
    traits = traits_of(node)
    if Trait.FINITE_OF_POSITIVE in traits:
        return _is_positive(node.inputs[-1])
    if Trait.FINITE_OF_NEVER_NEGATIVE in traits:
        return _is_never_negative(node.inputs[0])
    if Trait.FINITE not in traits or node.attributes.get_float("epsilon", 1.0) <= 0:
        return False
    constants = (value for value in node.inputs if value is not None and _is_constant(value))
    return Trait.WEIGHTED in traits or all(map(is_finite, constants))


def _is_positive(value: ir.Value | None) -> bool:
    """Whether all elements of a tensor are provably above some positive number."""
    if value is not None and value.const_value is not None:
        return bool((value.const_value.numpy() > 0).all())
    node = None if value is None else value.producer()
    if node is None:
        return False
    if node.op_type in ("Clip", "Max"):
        return any(_is_constant(bound) and _is_positive(bound) for bound in node.inputs[:2])
    if node.op_type == "Add":
        pairs = (node.inputs, node.inputs[::-1])
        return any(_is_positive(one) and _is_never_negative(other) for one, other in pairs)
    return has(node, Trait.KEEPS_SIGN) and _is_positive(node.inputs[0])


def _is_never_negative(value: ir.Value | None) -> bool:
    node = None if value is None else value.producer()
    if node is None or _is_positive(value):
        return _is_positive(value)
    if node.op_type == "Mul":
        return node.inputs[0] is node.inputs[1]
    if has(node, Trait.KEEPS_SIGN):
        return _is_never_negative(node.inputs[0])
    return has(node, Trait.NEVER_NEGATIVE)


def _is_constant(value: ir.Value | None) -> bool:
    return value is not None and value.const_value is not None
