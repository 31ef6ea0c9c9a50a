"""Rules for rectifiers beside the derivative: what other methods let pass on the way back.

Each takes over from the table of gradient rules for `Relu`, and for `Clip` from the constant 0. All
other operators keep their rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.evaluators.queries.passes import BackwardRules
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.gradients.table import Gradients, Rule
from heatproof.graphs.nodes.constants import constant_operand
from heatproof.graphs.operators.families import ACTIVATIONS


def is_rectifier(node: ir.Node) -> bool:
    """Whether a node is a Relu or a Clip from the constant 0."""
    if node.domain not in {"", "ai.onnx"}:
        return False
    if node.op_type != "Clip":
        return node.op_type == "Relu"
    low = constant_operand(node, 1)
    return low is not None and low.size == 1 and not low.any()


def require_rectifier(nodes: Sequence[ir.Node]) -> None:
    """Refuses a path on which no rule of this module would act.

    Raises:
        UnsupportedModelError: names the activations that are there.
    """
    if any(map(is_rectifier, nodes)):
        return
    found = sorted({node.op_type for node in nodes if node.op_type in ACTIVATIONS})
    raise UnsupportedModelError(
        "the rules are for rectifiers, Relu and Clip from 0, and the model has none; its "
        f"activations are {', '.join(found) or 'none'}: choose an explainer with plain gradients, "
        "such as saliency"
    )


def _positive(gradients: Iterable[ir.Value | None], op: GradientEmitter) -> list[ir.Value | None]:
    return [None if gradient is None else op("Relu", gradient) for gradient in gradients]


def _guided(exact: Rule, node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dx = the derivative where that is positive."""
    return _positive(exact(node, gradients, op), op)


def _deconvnet(exact: Rule, node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
    """Gives dx = dy where dy > 0; of a Clip, where y < high as well."""
    del exact
    passed = _positive(gradients, op)
    high = node.inputs[2] if node.op_type == "Clip" and len(node.inputs) > 2 else None
    if high is None:
        return passed
    is_below = op("Less", node.outputs[0], high)
    return [None if gradient is None else op.mask(is_below, gradient) for gradient in passed]


RECTIFIERS: Final[Mapping[BackwardRules, Callable[..., Gradients]]] = MappingProxyType(
    {BackwardRules.GUIDED: _guided, BackwardRules.DECONVNET: _deconvnet}
)
"""What becomes of the exact rule of a rectifier."""
