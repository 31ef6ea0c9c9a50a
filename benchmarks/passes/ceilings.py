"""Graphs that leave work out, to measure what a pass takes at least.

What they compute is of no use; the kernels that they leave in are those of the product.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from heatproof.graphs.canonical import CanonicalModel
from heatproof.graphs.gradients import OUTPUT_GRADIENT, differentiated
from heatproof.graphs.lowering.blocking import LEAST_CHANNELS, is_one_cell
from heatproof.graphs.lowering.boxes import weighted_box_means
from heatproof.graphs.lowering.replacement import replace
from heatproof.graphs.masking import layer_masked
from heatproof.graphs.nodes.forms import is_sigmoid_of
from heatproof.graphs.nodes.roles import Role, role_of
from heatproof.graphs.nodes.shapes import channels_of
from heatproof.graphs.operators.emitter import Emitter
from heatproof.graphs.operators.traits import Trait, has
from heatproof.graphs.runtime import Cancellation, SessionSettings
from heatproof.graphs.runtime.sessions import open_session

Feeds = Mapping[str, NDArray[np.float32]]


def filled_by_boxes(canonical: CanonicalModel) -> ir.Model:
    """Layer masking whose rounds of the fill read the neighbours, and do nothing else.

    A fused operator, which ONNX Runtime lacks, would do at least that much in each round.
    """
    model = layer_masked(canonical.model, trusted=True, plain=True)
    op = Emitter(model.graph)
    for node in tuple(model.graph):
        if role_of(node) is Role.FILLED:
            op.before(node)
            replace(model.graph, node, _box(node, op))
    common.RemoveUnusedNodesPass()(model)
    return model


def _box(filled: ir.Node, op: Emitter) -> ir.Value:
    """The means that a round reads, in the form in which the product computes them."""
    value, filling = filled.inputs
    product = None if filling is None else filling.producer()
    means = None if product is None else product.inputs[0]
    if value is None or means is None:
        message = f"node {filled.name!r} is no round of a fill"
        raise TypeError(message)
    return means if channels_of(value) < LEAST_CHANNELS else weighted_box_means(op, value, 1 / 9)


def linear(canonical: CanonicalModel) -> ir.Model:
    """The convolutions, pools and sums of a network, without activations and gates."""
    model = canonical.model.clone()
    for node in tuple(model.graph):
        kept = _passed_on(node)
        if kept is not None:
            ir.convenience.replace_all_uses_with(node.outputs[0], kept)
    common.RemoveUnusedNodesPass()(model)
    return model


def _passed_on(node: ir.Node) -> ir.Value | None:
    """What takes the place of a function of one cell, or of a product with a gate."""
    shape = node.outputs[0].shape
    if shape is None or shape.rank() != 4 or is_one_cell(node.outputs[0]):  # no map
        return None
    if node.op_type == "Mul" and all(x is not None and x.const_value is None for x in node.inputs):
        return next(x for x in node.inputs if not is_one_cell(x))
    return node.inputs[0] if has(node, Trait.POINTWISE) else None


def linear_with_gradient(canonical: CanonicalModel) -> ir.Model:
    """The same with its gradient: each convolution forward and back."""
    return differentiated(
        linear(canonical), of=canonical.logits, wrt=canonical.input_name, plain=True
    )


def gradient_by_products(canonical: CanonicalModel) -> ir.Model:
    """A network with its gradient, in which each derivative of an activation is one product.

    It reads the gradient and one tensor of the forward pass, as an operator made for an activation
    would at least; ONNX Runtime has none.
    """
    model = differentiated(
        canonical.model, of=canonical.logits, wrt=canonical.input_name, plain=True
    )
    op, back = Emitter(model.graph), _way_back(model.graph)
    written = defaultdict[str, list[ir.Node]](list)
    for node in model.graph:
        name, _, is_gradient = (node.name or "").partition("/gradient/")
        if is_gradient and not back.issuperset(node.inputs):  # those are sums of gradients
            written[name].append(node)
    for node in filter(_is_activation, tuple(model.graph)):
        steps = written[node.name or ""]
        made = {step.outputs[0] for step in steps}
        read = next(x for step in steps for x in step.inputs if x in back and x not in made)
        last = next(step for step in steps if not _is_read_by(step.outputs[0], steps))
        op.before(last)
        replace(model.graph, last, op("Mul", read, node.outputs[0], like=node.outputs[0]))
    common.RemoveUnusedNodesPass()(model)
    return model


def _is_read_by(value: ir.Value, nodes: Sequence[ir.Node]) -> bool:
    return {reader for reader, _ in value.uses()} <= set(nodes)


def _way_back(graph: ir.Graph) -> set[ir.Value | None]:
    """What depends on the gradient by the output."""
    values: set[ir.Value | None] = {x for x in graph.inputs if x.name == OUTPUT_GRADIENT}
    for node in graph:
        if not values.isdisjoint(node.inputs):
            values.update(node.outputs)
    return values


def _is_activation(node: ir.Node) -> bool:
    """Whether a node of the forward pass is a function of a map, written as one node or as SiLU."""
    if "/gradient/" in (node.name or "") or _passed_on(node) is None:
        return False
    if node.op_type == "Mul":
        x, gate = node.inputs
        return x is not None and is_sigmoid_of(gate, x)
    return not any(is_sigmoid_of(node.outputs[0], x) for x in node.inputs if x is not None)


def bare_pass(model: ir.Model, feeds: Feeds) -> Callable[[], object]:
    """A pass of a graph as a worker opens it, on one thread; inputs that it lacks are left out."""
    session = open_session(model, SessionSettings(threads=1))
    given = {value.name or "": feeds[value.name or ""] for value in model.graph.inputs}
    rows = max(map(len, given.values()))
    cancellation = Cancellation()
    return lambda: session.run(given, session.outputs, cancellation, rows)
