"""The way from an exporter's graph to a plain one.

Exporters differ in what surrounds the network: local functions, weights behind Constant and Cast
nodes, shape arithmetic, dropouts, identities, values without shapes. Rewrites see none of it.
"""

import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.files.notes import add_notes, keep_notes
from heatproof.graphs.preparation.constants.costs import Budget
from heatproof.graphs.preparation.constants.execution import evaluate_constants
from heatproof.graphs.preparation.constants.folding import fold_constants
from heatproof.graphs.preparation.dropouts import drop_dropouts
from heatproof.graphs.preparation.fusions import take_apart
from heatproof.graphs.preparation.geometry import check_attributes, check_sizes
from heatproof.graphs.preparation.identities import drop_identities
from heatproof.graphs.preparation.inference import (
    forget_shapes,
    infer_shapes,
    keep_output_symbols,
    recall_shapes,
)
from heatproof.graphs.preparation.sequences import resolve_sequences
from heatproof.graphs.preparation.shapes.settling import name_batch, settle

_ROUNDS = 8
"""How often what has been settled may let more be folded: an If in a branch of an If, say."""

_APART = 4
"""Version of the format from which on initializers need not be inputs."""


def prepared(model: ir.Model) -> ir.Model:
    """Returns a plain copy of a model; names of its inputs and outputs are kept.

    Functions are inlined and fused operators taken apart; constants are folded, within
    `FOLDING_BUDGET`, and become initializers; known sequences become tensors; identities, dropouts
    and casts without effect, unused nodes and initializers are gone; node names are unique; types
    and shapes are inferred, symbolic dimensions included. Initializers are never inputs. Index
    arithmetic is constant wherever it does not depend on the batch, and so are the targets of
    reshapes; pools round down. Weights are shared with the argument, not copied.

    Raises:
        InvalidModelError: a constant part of the graph cannot be evaluated, the functions cannot
            be inlined, or the numbers of a node fit no tensor.
    """
    copy = model.clone()
    _drop_texts(copy)
    declared = forget_shapes(copy)
    _inline(copy)
    check_attributes(copy)
    take_apart(copy.graph)
    common.RemoveInitializersFromInputsPass()(copy)
    copy.ir_version = max(copy.ir_version or 0, _APART)
    notes = drop_dropouts(copy.graph)
    name_batch(copy.graph)
    _fold_and_settle(copy, declared)
    check_sizes(copy)
    common.RemoveUnusedOpsetsPass()(copy)
    common.NameFixPass()(copy)
    keep_output_symbols(copy.graph, model.graph)
    copy.doc_string = model.doc_string
    copy.metadata_props.update(model.metadata_props)
    keep_notes(copy, model)
    add_notes(copy, notes)
    return copy


def _drop_texts(model: ir.Model) -> None:
    """Drops documentation and metadata, which each of many inferences of shapes would copy."""
    model.doc_string = model.graph.doc_string = None
    model.metadata_props.clear()
    model.graph.metadata_props.clear()


def _inline(model: ir.Model) -> None:
    try:
        common.InlinePass()(model)
    except Exception as error:  # the library has no common one for calls that do not fit
        raise InvalidModelError(
            f"the model's functions cannot be inlined: {error}; export it without local functions"
        ) from error


def _fold_and_settle(model: ir.Model, declared: dict[str, ir.Shape]) -> None:
    """Folds constants and settles sizes in turn: each lets the other go further."""
    budget = Budget()
    for _ in range(_ROUNDS):
        _lift(model)
        fold_constants(model, budget)
        _lift(model)
        drop_identities(model.graph)
        common.RemoveUnusedNodesPass()(model)
        infer_shapes(model)
        recall_shapes(model.graph, declared)
        common.NameFixPass()(model)  # constants are named after nodes
        evaluate_constants(model, budget)
        changed = resolve_sequences(model.graph)
        changed |= settle(model.graph)
        common.RemoveUnusedNodesPass()(model)
        if not changed:
            return


def _lift(model: ir.Model) -> None:
    common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
