"""Brings a model into the plain form that every rewrite starts from.

Exporters differ in what surrounds the network: local functions, weights behind Constant and Cast
nodes, shape arithmetic, dropouts, identities, values without shapes. Rewrites see none of it.
"""

import math
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

_LONGEST_VECTOR = 1 << 16
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
        infer_shapes(copy)
    _keep_output_symbols(copy.graph, model.graph)
    return copy


def _keep_output_symbols(graph: ir.Graph, original: ir.Graph) -> None:
    """Gives open sizes of the outputs the names that the model gave them."""
    for value, known in zip(graph.outputs, original.outputs, strict=True):
        if value.shape is None or known.shape is None or len(value.shape) != len(known.shape):
            continue
        pairs = zip(value.shape, known.shape, strict=True)
        value.shape = ir.Shape([old if _is_open(new, old) else new for new, old in pairs])


def _is_open(new: int | ir.SymbolicDim, old: int | ir.SymbolicDim) -> bool:
    """Whether both sizes are open and the old one has a name."""
    return not isinstance(new, int) and not isinstance(old, int) and old.value is not None


def infer_shapes(model: ir.Model) -> None:
    """Infers types and shapes in place; what cannot be inferred stays as it is."""
    _infer_shapes(model, data_prop=False)
    if _vectors_are_short(model.graph):
        found = _forget_shapes(model.graph)  # unknown sizes have names now, which would stay
        _infer_shapes(model, data_prop=True)
        _merge_shapes(model.graph, found)


def _infer_shapes(model: ir.Model, *, data_prop: bool) -> None:
    common.ShapeInferencePass(check_type=False, strict_mode=False, data_prop=data_prop)(model)


def _vectors_are_short(graph: ir.Graph) -> bool:
    """Whether every vector is known to be short, or as long as an input has rows.

    Data propagation follows vectors element by element: a Range, or a few concatenations of a
    vector with itself, would fill the memory.
    """
    symbols = {size for value in graph.inputs if value.shape is not None for size in value.shape}
    shapes = [value.shape for node in graph.all_nodes() for value in node.outputs]
    return all(
        shape is not None
        and (shape.rank() != 1 or shape[0] in symbols or _length(shape) <= _LONGEST_VECTOR)
        for shape in shapes
    )


def _length(vector: ir.Shape) -> int:
    length = vector[0]
    return length if isinstance(length, int) else _LONGEST_VECTOR + 1


def reshape_input(model: ir.Model, name: str, shape: Sequence[int | str | ir.SymbolicDim]) -> None:
    """Gives an input another shape, in place, and infers all others anew."""
    value = next(value for value in model.graph.inputs if value.name == name)
    value.shape = ir.Shape(shape)
    declared = _forget_shapes(model.graph)
    infer_shapes(model)
    _recall_shapes(model.graph, declared)


def forget_shapes(model: ir.Model) -> None:
    """Clears in place every shape that `infer_shapes` can find anew."""
    _forget_shapes(model.graph)


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


def _merge_shapes(graph: ir.Graph, found: dict[str, ir.Shape]) -> None:
    """Fills in the sizes that an earlier inference found and a later one did not."""
    _recall_shapes(graph, found)
    for value in (value for node in graph.all_nodes() for value in node.outputs):
        now, before = value.shape, found.get(value.name or "")
        if now is not None and before is not None and now.rank() == before.rank():
            pairs = zip(now, before, strict=True)
            value.shape = ir.Shape([b if isinstance(b, int) else a for a, b in pairs])


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
        if node.op_type == "Reshape" and not node.domain and constant_operand(node, 1) is None:
            rest = _sizes_but_first(node.inputs[0], node.outputs[0])
            if rest is not None:
                replace_operand(node, 1, np.array([-1, *rest], np.int64))
                changed = True
    return changed


def _sizes_but_first(x: ir.Value | None, y: ir.Value) -> list[int] | None:
    """Sizes of a reshaped tensor but the first; one may follow from the others and the operand."""
    if y.shape is None or y.shape.rank() == 0:
        return None
    rest = [size if isinstance(size, int) else 0 for size in y.shape[1:]]
    if rest.count(0) == 1 and x is not None and x.shape is not None and _same(x.shape, y.shape):
        operand = [size for size in x.shape[1:] if isinstance(size, int)]
        known = math.prod(size for size in rest if size)
        if len(operand) == x.shape.rank() - 1 and math.prod(operand) % known == 0:
            rest[rest.index(0)] = math.prod(operand) // known
    return None if 0 in rest else rest


def _same(x: ir.Shape, y: ir.Shape) -> bool:
    """Whether two tensors are known to have equally many rows."""
    unnamed = ir.SymbolicDim(None)
    return x.rank() > 0 and x[0] == y[0] and x[0] != unnamed


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
