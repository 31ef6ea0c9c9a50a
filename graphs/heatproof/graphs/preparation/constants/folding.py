"""Folds the small constants of a graph: shape arithmetic, branches and casts."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx_ir as ir
from onnxscript import optimizer

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.operators.families import RANDOM
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.preparation.constants.costs import Budget, elements_of
from heatproof.graphs.preparation.constants.execution import SMALL_TENSOR

_SEQUENCES = frozenset(["ConcatFromSequence", "SequenceAt", "SplitToSequence"])
_ASIDE = "heatproof.aside"


def fold_constants(model: ir.Model, budget: Budget) -> None:
    """Folds small constants and follows symbolic shapes in place, with onnxscript's folding.

    Larger ones are left to `evaluate_constants`: the reference evaluator is slow.

    Raises:
        InvalidModelError: a constant part of the graph cannot be evaluated.
    """

    def should_fold(node: ir.Node) -> bool | None:
        """True or False, or None for the library's own rules (sizes, quantisation)."""
        if node.op_type in RANDOM:
            return False
        created = sum(elements_of(value) for value in node.outputs)
        if created > SMALL_TENSOR or not budget.spend(created):
            return False
        return True if has(node, Trait.CHEAP) else None

    try:
        with (
            _set_aside(model.graph),
            np.errstate(all="ignore"),
        ):  # a constant inf or NaN is the model's own business
            optimizer.fold_constants(model, onnx_shape_inference=True, should_fold=should_fold)
    except Exception as error:  # of nodes that break their schema: ValueError, IndexError, others
        cause = error.__cause__ or error
        raise InvalidModelError(
            f"cannot evaluate a constant part of the graph: {error}: {cause}; "
            "check the model with onnx.checker"
        ) from error


@contextmanager
def _set_aside(graph: ir.Graph) -> Iterator[None]:
    """Hides sequences: the library would make them Splits of opset 18, whatever the model's is."""
    nodes = [one for one in graph if one.domain == "" and one.op_type in _SEQUENCES]
    for node in nodes:
        node.domain = _ASIDE
    try:
        yield
    finally:
        for node in nodes:
            node.domain = ""
