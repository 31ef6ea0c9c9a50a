"""Brings a model into the plain form that every rewrite starts from.

Exporters differ in what surrounds the network: local functions, weights behind Constant and Cast
nodes, shape arithmetic, dropouts, identities, values without shapes. Rewrites see none of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.constants import constant_operand, replace_operand
from heatproof.graphs.rules import Operator

FOLDING_BUDGET = 1 << 28
"""Elements that folding may create in one model (1 GiB of float32)."""

SMALL_TENSOR = 1 << 16
"""Elements of a result that any operator may be folded into."""

_TRAINABLE_DROPOUT = 12  # opset that gave Dropout its training mode

# Folding the rest of the operators over large weights costs seconds in the reference evaluator.
_CHEAP_OPERATORS = frozenset(
    ["Add", "Cast", "CastLike", "Concat", "Div", "Expand", "Flatten", "Gather", "Mul", "Neg", "Pow"]
) | {"Reciprocal", "Reshape", "Slice", "Sqrt", "Squeeze", "Sub", "Transpose", "Unsqueeze"}


def prepared(model: ir.Model) -> ir.Model:
    """Returns a plain copy of a model; names of its inputs and outputs are kept.

    Functions are inlined; constants are folded, within `FOLDING_BUDGET`, and become initializers;
    identities, dropouts and casts without effect, unused nodes and initializers are gone; node
    names are unique; types and shapes are inferred, symbolic dimensions included. Initializers
    are never inputs. Reshapes have constant targets where only the batch is open. Weights are
    shared with the argument, not copied.

    Raises:
        InvalidModelError: a constant part of the graph cannot be evaluated, or the functions
            cannot be inlined.
    """
    copy = model.clone()
    copy.graph.doc_string = None
    declared = _forget_shapes(copy.graph)
    common.InlinePass()(copy)
    common.RemoveInitializersFromInputsPass()(copy)
    _drop_old_dropouts(copy.graph)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    _fold_constants(copy)
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(copy)
    common.IdentityEliminationPass()(copy)
    common.RemoveUnusedNodesPass()(copy)
    common.RemoveUnusedOpsetsPass()(copy)
    common.NameFixPass()(copy)
    infer_shapes(copy)
    _recall_shapes(copy.graph, declared)
    if _settle_reshapes(copy.graph):
        common.RemoveUnusedNodesPass()(copy)
    return copy


def infer_shapes(model: ir.Model) -> None:
    """Infers types and shapes in place; what cannot be inferred stays as it is."""
    common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=True)(model)


def reshape_input(model: ir.Model, name: str, shape: Sequence[int | str | ir.SymbolicDim]) -> None:
    """Gives an input another shape, in place, and infers all others anew."""
    value = next(value for value in model.graph.inputs if value.name == name)
    value.shape = ir.Shape(shape)
    declared = _forget_shapes(model.graph)
    infer_shapes(model)
    _recall_shapes(model.graph, declared)


def _forget_shapes(graph: ir.Graph) -> dict[str, ir.Shape]:
    """Clears the declared shapes, which may be wrong, and returns them by value name."""
    declared: dict[str, ir.Shape] = {}
    for node in ir.traversal.RecursiveGraphIterator(graph):
        if Operator.of(node, graph.opset_imports) is None:
            continue  # nothing could be inferred in place of what is declared
        for value in node.outputs:
            if value.shape is not None and value.name:
                declared[value.name] = value.shape
                value.shape = None
    return declared


def _recall_shapes(graph: ir.Graph, declared: dict[str, ir.Shape]) -> None:
    """Declared shapes are better than none where inference found none."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        for value in node.outputs:
            if value.shape is None and value.name in declared:
                value.shape = declared[value.name]


def _drop_old_dropouts(graph: ir.Graph) -> None:
    """Before opset 12 Dropout is the identity at inference; constant folding drops later ones."""
    for node in ir.traversal.RecursiveGraphIterator(graph):
        operator = Operator.of(node, graph.opset_imports)
        if (
            operator is None
            or operator.op_type != "Dropout"
            or operator.since_version >= _TRAINABLE_DROPOUT
        ):
            continue
        mask_is_read = any(out.uses() or out.is_graph_output() for out in node.outputs[1:])
        if mask_is_read or node.graph is None:
            continue
        identity = ir.node("Identity", node.inputs[:1], name=node.name)
        ir.convenience.replace_nodes_and_values(
            node.graph, node, [node], [identity], node.outputs[:1], identity.outputs
        )


def _settle_reshapes(graph: ir.Graph) -> bool:
    """Gives reshapes a constant target where only the leading size is open.

    Exporters compute targets from the input's shape; all sizes but the batch are known by now, so
    -1 for the batch means the same. Returns whether any target was replaced.
    """
    changed = False
    for node in graph:
        shape = node.outputs[0].shape if node.op_type == "Reshape" and not node.domain else None
        if shape is None or shape.rank() == 0 or constant_operand(node, 1) is not None:
            continue
        rest = [size for size in shape[1:] if isinstance(size, int) and size > 0]
        if len(rest) == shape.rank() - 1:
            replace_operand(node, 1, np.array([-1, *rest], np.int64))
            changed = True
    return changed


@dataclass(slots=True)
class _Folding:
    """Decides which nodes with constant inputs are evaluated, within a budget of elements."""

    budget: int = field(default=FOLDING_BUDGET)

    def should_fold(self, node: ir.Node) -> bool | None:
        """True or False, or None for the library's own rules (sizes, quantisation)."""
        created = sum(_elements(value) for value in node.outputs)
        if created > self.budget:
            return False
        if node.op_type in _CHEAP_OPERATORS:
            self.budget -= created
            return True
        if created > SMALL_TENSOR:
            return False
        self.budget -= created
        return True if node.op_type == "ConstantOfShape" else None


def _elements(value: ir.Value) -> int:
    """Number of elements, beyond every budget when the shape is not known."""
    if value.shape is None or not value.shape.is_static():
        return FOLDING_BUDGET + 1
    return int(np.prod(value.shape.numpy(), dtype=object))


def _fold_constants(model: ir.Model) -> None:
    try:
        with np.errstate(all="ignore"):  # a constant inf or NaN is the model's own business
            optimizer.fold_constants(
                model, onnx_shape_inference=True, should_fold=_Folding().should_fold
            )
    except RuntimeError as error:
        cause = error.__cause__ or error
        raise InvalidModelError(
            f"cannot evaluate a constant part of the graph: {error}: {cause}; "
            "check the model with onnx.checker"
        ) from error
