"""Finds which part of a graph lies between the two ends of a derivative."""

from dataclasses import dataclass

import onnx_ir as ir

from heatproof.evaluators.errors import UnknownNameError
from heatproof.graphs.gradients.refusals import is_quantized
from heatproof.graphs.nodes.captures import values_read
from heatproof.graphs.nodes.derivatives import Derivative, declared
from heatproof.graphs.operators.traits import Trait, has


@dataclass(frozen=True, slots=True)
class Path:
    """Everything on which a gradient travels.

    Attributes:
        nodes: nodes between the ends, in topological order.
        active: values that depend on the start and reach the end, both ends included.
    """

    nodes: tuple[ir.Node, ...]
    active: frozenset[ir.Value]


def path_between(graph: ir.Graph, start: ir.Value, end: ir.Value) -> Path:
    """The nodes and values that carry the derivative of `end` with respect to `start`.

    A path ends at values that are not floating-point and at operators of zero derivative. It goes
    through quantized arithmetic, so that this can be refused.
    """
    nodes = list(graph)
    dependent = {start}
    for node in nodes:
        read = dependent.intersection(differentiable_inputs(node))
        if start not in node.outputs and read:
            quantized = is_quantized(node) or not all(map(_is_floating, read))
            dependent.update(out for out in node.outputs if quantized or _is_floating(out))
    needed = {end}
    for node in reversed(nodes):
        if not needed.isdisjoint(node.outputs):
            needed.update(differentiable_inputs(node))
    active = frozenset(dependent & needed)
    carrying = tuple(
        node
        for node in nodes
        if start not in node.outputs
        and not active.isdisjoint(node.outputs)
        and not active.isdisjoint(differentiable_inputs(node))
    )
    return Path(carrying, active)


def differentiable_inputs(node: ir.Node) -> list[ir.Value]:
    """Values whose change may show in the outputs, those captured by its subgraphs included."""
    if has(node, Trait.STEP):
        return []  # paths end where the derivative is zero
    if declared(node) is Derivative.ZERO:
        return []
    return list(values_read(node))


def _is_floating(value: ir.Value) -> bool:
    """Whether gradients exist; a value of unknown type is assumed to carry them."""
    return value.dtype is None or value.dtype.is_floating_point()


def find_tensor(model: ir.Model, name: str) -> ir.Value:
    """Finds an input or intermediate tensor of the main graph by name.

    Raises:
        UnknownNameError: offers the nearest name.
    """
    named = {value.name or "": value for value in model.graph.inputs}
    for node in model.graph:
        named.update((value.name, value) for value in node.outputs if value.name)
    if name not in named:
        raise UnknownNameError.among("tensor", name, named)
    return named[name]
