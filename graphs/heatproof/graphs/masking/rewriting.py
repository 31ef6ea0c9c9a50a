"""Layer masking as graph rewriting (Balasubramanian and Feizi 2022, arXiv 2211.14646).

Every tensor that derives from the image carries a mask; each operator with spatial extent masks
its own input, so that the hidden cells of a tensor may hold anything and nobody reads them.
"""

from dataclasses import dataclass

import onnx_ir as ir
from onnx_ir.passes import common

from heatproof.evaluators.errors import UnsupportedModelError, UnsupportedOperatorError
from heatproof.graphs.heads.signature import ImageInput, Layout, find_image_input
from heatproof.graphs.masking.finiteness import keeps_finite
from heatproof.graphs.masking.guarding import alarm, guard
from heatproof.graphs.masking.options import MaskingOptions
from heatproof.graphs.masking.refusals import reason as refusal_of
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.simplification import simplify
from heatproof.graphs.masking.states import NCHW, NHWC, Flat, Mask, Spatial, State
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.nodes.captures import subgraphs_of, values_read
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.preparation import infer_shapes
from heatproof.graphs.preparation.opsets import ready
from heatproof.graphs.preparation.repeatability import with_unrepeatable

MASK_INPUT = "mask"
COVERAGE_OUTPUT = "mask_coverage"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A rewritten model and what is known of its tensors.

    Attributes:
        model: the result.
        states: state by name of tensor, for all that derive from the image.
        blockers: nodes without a rule; the model is of no use when there are any.
    """

    model: ir.Model
    states: dict[str, State]
    blockers: tuple[Blocker, ...]


def layer_masked(
    model: ir.Model,
    options: MaskingOptions = MaskingOptions(),  # noqa: B008 # immutable
    *,
    trusted: bool = False,
    plain: bool = False,
) -> ir.Model:
    """Adds input `mask` and output `mask_coverage`; all other inputs and outputs keep their names.

    `mask` is float32 [N, 1, H, W], 1 = visible, with H and W of the image input;
    `mask_coverage` is float32 [N]: the visible share where the image's information leaves the
    spatial domain, the least of them where there are several. A mask that holds other values than
    0 and 1, or with `options.threshold` NaN or infinities, gives NaN in every floating output of
    its image. The argument is left alone.

    Args:
        model: any classifier.
        options: choices that the definition leaves open.
        trusted: masks hold nothing but 0 and 1, so that nothing guards against others.
        plain: whether the model is as `prepared` returns it, and is not prepared again.

    Raises:
        UnsupportedOperatorError: a node has no sound rule; names it.
        UnsupportedModelError: the model has no image input of static size, or its names clash.
    """
    rewrite = rewritten(model, options, trusted=trusted, plain=plain)
    for blocker in rewrite.blockers:
        raise UnsupportedOperatorError(
            f"node {blocker.node!r} ({blocker.operator}): {blocker.reason}",
            metadata={"node": blocker.node, "operator": blocker.operator},
        )
    common.RemoveUnusedNodesPass()(rewrite.model)
    _complete_shapes(rewrite.model)
    return rewrite.model


def _complete_shapes(model: ir.Model) -> None:
    """Infers the shapes of all tensors, if the rules have left any open."""
    values = (value for node in model.graph.all_nodes() for value in node.outputs)
    if all(value.shape is not None and value.type is not None for value in values):
        return
    shapes = [(value, value.shape) for value in model.graph.outputs]
    infer_shapes(model)
    for value, shape in shapes:
        value.shape = value.shape if shape is None else shape  # inference may rename the batch


def masking_blockers(
    model: ir.Model,
    options: MaskingOptions = MaskingOptions(),  # noqa: B008 # immutable
    *,
    plain: bool = False,
) -> tuple[Blocker, ...]:
    """Every node that has no sound rule, in the order of the graph; () when masking works.

    A model that is `plain`, as `prepared` returns it, is not prepared again.

    Raises:
        UnsupportedModelError: the model has no image input of static size, or its names clash.
    """
    return rewritten(model, options, plain=plain).blockers


def rewritten(
    model: ir.Model, options: MaskingOptions, *, trusted: bool = False, plain: bool = False
) -> Rewrite:
    """Rewrites a copy of the model as far as rules reach; masks that nobody reads stay in."""
    _refuse_taken_names(model.graph)
    copy = ready(model, plain=plain)
    simplify(copy)
    image = find_image_input(copy)
    scope, mask = _enter(copy.graph, image, options)
    visibility = copy.graph.inputs[-1]
    wanted = mask.value if options.threshold is None else visibility
    warning = None if trusted else alarm(scope, visibility, wanted)
    blockers = with_unrepeatable(copy.graph, _walk(copy.graph, scope))
    if not blockers:
        _leave(copy.graph, scope, warning)
        scope.hider.share()
        copy.graph.sort()
    states = {value.name or "": state for value, state in scope.states.items()}
    return Rewrite(copy, states, blockers)


def _refuse_taken_names(graph: ir.Graph) -> None:
    names = {value.name for value in (*graph.inputs, *graph.outputs)}
    if {MASK_INPUT, COVERAGE_OUTPUT} <= names:
        raise UnsupportedModelError(
            f"the model is layer-masked already: it has an input {MASK_INPUT!r} and an output "
            f"{COVERAGE_OUTPUT!r}; rewrite the original"
        )
    for value in (*graph.inputs, *graph.outputs):
        if value.name in (MASK_INPUT, COVERAGE_OUTPUT):
            raise UnsupportedModelError(
                f"the model already has an input or output named {value.name!r}; rename it"
            )


def _enter(graph: ir.Graph, image: ImageInput, options: MaskingOptions) -> tuple[Scope, Mask]:
    """Hides the image's removed cells: Where(mask, x, 0), so that NaN there does no harm."""
    if image.height is None or image.width is None:
        raise UnsupportedModelError(
            f"input {image.name!r} has no static height and width; "
            "layer masking needs both: fix them, or export with only the batch dynamic"
        )
    value = next(value for value in graph.inputs if value.name == image.name)
    readers = list(value.uses())
    batch = value.shape[0] if value.shape is not None else None
    _free_names(graph)
    scope = Scope(graph, options, batch)
    visibility = ir.val(
        MASK_INPUT, ir.DataType.FLOAT, ir.Shape((batch, 1, image.height, image.width))
    )
    graph.inputs.append(visibility)
    scope.op.before(next(iter(graph), None))
    axes = NCHW if image.layout is Layout.NCHW else NHWC
    mask = scope.masks.source(visibility, image.height, image.width, options.threshold)
    state = Spatial(mask, axes, finite=False)
    entered = scope.visible(value, state)
    for node, index in readers:
        node.replace_input_with(index, entered)
    scope.states[entered] = Spatial(mask, axes)
    scope.hider.declare_visible(entered)
    return scope, mask


def _free_names(graph: ir.Graph) -> None:
    """Renames inner tensors that hold the names of the new input and output."""
    inner = [value for node in graph for value in node.outputs]
    for value in (*inner, *tuple(graph.initializers.values())):
        if value.name in (MASK_INPUT, COVERAGE_OUTPUT):
            value.name = f"{value.name}_of_model"


def _walk(graph: ir.Graph, scope: Scope) -> list[Blocker]:
    blockers: list[Blocker] = []
    unknown: set[ir.Value] = set()
    for node in tuple(graph):
        scope.op.before(node)
        unseen = unknown.intersection(values_read(node))
        try:
            if not unseen:
                _apply(node, scope)
                continue
            if any(map(_is_map, unseen)) and not has(node, Trait.EXTENT):
                RULES.find(node, graph.opset_imports)
        except UnsupportedOperatorError as error:
            name = Operator.name_of(node, graph.opset_imports)
            reason = error.metadata.get("reason", refusal_of(node.op_type))
            blockers.append(Blocker(node.name or "", name, reason))
        if not has(node, Trait.EXTENT):
            unknown.update(node.outputs)
    return blockers


def _is_map(value: ir.Value | None) -> bool:
    """Whether a tensor whose state is not known may have spatial axes."""
    if value is None or value.shape is None:
        return True
    return value.shape.rank() > 3 and set(value.shape[2:]) != {1}  # [N, C, 1, 1] is a gate


def _apply(node: ir.Node, scope: Scope) -> None:
    """Gives each output of a node its state; the node may be replaced on the way."""
    states = [state for state in map(scope.state, values_read(node)) if state is not None]
    if not states or has(node, Trait.EXTENT):
        return
    if any(subgraphs_of(node)):
        raise scope.refusal(node, "control flow over the image's content is not followed")
    flat = [state for state in states if isinstance(state, Flat)]
    if len(flat) == len(states):
        exits = frozenset[Mask]().union(*(state.exits for state in flat))
        finite = keeps_finite(node) and all(state.finite for state in flat)
        for value in node.outputs:
            scope.states[value] = Flat(exits, finite)
        return
    outcome = RULES.find(node, scope.opset_imports)(node, scope)
    outcomes = outcome if isinstance(outcome, tuple) else (outcome,)
    for value, state in zip(scope.outputs_of(node), outcomes, strict=False):
        if state is not None:
            scope.states[value] = state


def _leave(graph: ir.Graph, scope: Scope, warning: ir.Value | None) -> None:
    """Adds the coverage, hides the hidden cells of spatial outputs, and lets masks warn."""
    scope.op.before(None)
    exits: set[Mask] = set()
    reached = [index for index, value in enumerate(graph.outputs) if scope.state(value)]
    for index, value in enumerate(graph.outputs):
        state = scope.state(value)
        if state is not None and _is_no_tensor(value):
            raise UnsupportedModelError(
                f"output {value.name!r} is a {value.type}, not a tensor: a mask that is not binary "
                "could not be told in it; export the model without it"
            )
        if isinstance(state, Spatial):
            exits.add(state.mask)
            graph.outputs[index] = _uncovered(value, state, scope)
        elif isinstance(state, Flat):
            exits |= state.exits
    if not exits:
        raise UnsupportedModelError("no output depends on the image's content")
    graph.outputs.append(_coverage(exits, scope))
    if warning is not None:
        guard(graph, (*reached, len(graph.outputs) - 1), scope, warning)


def _is_no_tensor(value: ir.Value) -> bool:
    return value.type is not None and not isinstance(value.type, ir.TensorType)


def _uncovered(value: ir.Value, state: Spatial, scope: Scope) -> ir.Value:
    shown = scope.visible(value, Spatial(state.mask, state.axes, finite=False))
    value.name, shown.name = f"{value.name}_unmasked", value.name
    return shown


def _coverage(exits: set[Mask], scope: Scope) -> ir.Value:
    shares = [
        scope.masks.coverage(mask) for mask in sorted(exits, key=lambda mask: mask.value.name or "")
    ]
    least = shares[0]
    for share in shares[1:]:
        least = scope.op("Min", least, share, like=share)
    return scope.op(
        "Reshape",
        least,
        scope.op.integers(-1),
        like=least,
        shape=(scope.batch,),
        name=COVERAGE_OUTPUT,
    )
