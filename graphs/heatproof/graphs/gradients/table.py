"""The table of gradient rules, and the forms that a rule takes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.gradients.broadcasting import summed_to
from heatproof.graphs.gradients.emitter import GradientEmitter
from heatproof.graphs.operators.rules import RuleTable

Gradients = Sequence[ir.Value | None]

Rule = Callable[[ir.Node, Gradients, GradientEmitter], Gradients]
"""From the gradients at the outputs of a node to those at its inputs: the transposed Jacobian.

A gradient has the shape and element type of its value; None is zero. Only inputs in
`GradientEmitter.active` need one.
"""

SingleRule = Callable[[ir.Node, ir.Value, GradientEmitter], ir.Value]
"""A rule of an operator whose gradient goes from its only output to its first input."""

Slope = Callable[[ir.Node, GradientEmitter], ir.Value]
"""dy/dx of an elementwise function of the first input."""

WrapperT = TypeVar("WrapperT", bound=Callable[..., object])

GRADIENTS: RuleTable[Rule] = RuleTable("gradient")


def documented_by(rule: Callable[..., object]) -> Callable[[WrapperT], WrapperT]:
    """Gives a wrapper the docstring of its rule, which the table of operators shows."""

    def document(wrapper: WrapperT) -> WrapperT:
        wrapper.__doc__ = rule.__doc__
        return wrapper

    return document


def by_input(versions: Mapping[str, Sequence[int]]) -> Callable[[SingleRule], SingleRule]:
    """Registers a rule for operators whose other inputs are parameters."""

    def register(rule: SingleRule) -> SingleRule:
        @GRADIENTS.family(versions)
        @documented_by(rule)
        def _(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
            gradient = gradients[0]
            if any(value in op.active for value in node.inputs[1:] if value is not None):
                raise op.refusal("its parameters depend on the differentiated tensor")
            return [None] if gradient is None else [rule(node, gradient, op)]

        return rule

    return register


def elementwise(versions: Mapping[str, Sequence[int]]) -> Callable[[Slope], Slope]:
    """Registers a function of one tensor by its derivative: dx = dy * y'(x)."""

    def register(derivative: Slope) -> Slope:
        @by_input(versions)
        @documented_by(derivative)
        def _(node: ir.Node, gradient: ir.Value, op: GradientEmitter) -> ir.Value:
            slope, output = derivative(node, op), node.outputs[0]
            slope.shape, slope.type = slope.shape or output.shape, slope.type or output.type
            return op("Mul", gradient, slope)

        return derivative

    return register


def broadcasting(versions: Mapping[str, Sequence[int]]) -> Callable[[Rule], Rule]:
    """Registers a rule of operators that broadcast: its gradients have the output's shape."""

    def register(rule: Rule) -> Rule:
        @GRADIENTS.family(versions)
        @documented_by(rule)
        def _(node: ir.Node, gradients: Gradients, op: GradientEmitter) -> Gradients:
            given = rule(node, gradients, op)
            return [
                None
                if gradient is None or value is None or value not in op.active
                else summed_to(value, gradient, node.outputs[0].shape, op)
                for value, gradient in zip_longest(node.inputs, given)
            ]

        return rule

    return register


def first(node: ir.Node) -> ir.Value:
    """The first input, which the schemas of the differentiated operators require."""
    value = node.inputs[0]
    if value is None:
        raise InvalidModelError(f"node {node.name!r} lacks its first input; check the model")
    return value


def constant_of(value: ir.Value | None, what: str, op: GradientEmitter) -> np.ndarray:
    """The array of a constant parameter; refuses one that is computed."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise op.refusal(f"{what} must be constant")
    return tensor.numpy()
