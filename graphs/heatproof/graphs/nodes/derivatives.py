"""What a rewrite says of the derivatives of nodes that it adds.

Differentiation follows the mathematics of a node unless the definition behind the rewrite treats
it otherwise. Such notes travel in the metadata of the node, through saving and loading.
"""

from enum import StrEnum

import onnx_ir as ir

_KEY = "heatproof.derivative"


class Derivative(StrEnum):
    """How a node is differentiated by what it reads."""

    ZERO = "zero"
    """Its output counts as a constant."""

    DIAGONAL = "diagonal"
    """A product with a square matrix counts as one with the diagonal of that matrix."""


def declare_derivative(value: ir.Value, derivative: Derivative) -> ir.Value:
    """Notes on the node that computes a value how it is differentiated; returns the value."""
    node = value.producer()
    if node is not None:
        node.metadata_props[_KEY] = derivative.value
    return value


def declared(node: ir.Node) -> Derivative | None:
    """The note on a node, or None: by the rule of its operator."""
    note = node.metadata_props.get(_KEY)
    return Derivative(note) if note in list(Derivative) else None
