"""What it costs to compute nodes of constants, in elements."""

import math

import onnx_ir as ir

from heatproof.graphs.operators.products import multiply_adds_of
from heatproof.graphs.operators.traits import Trait, has

FOLDING_BUDGET = 1 << 28
"""Elements that folding may read and create in one model (1 GiB of float32)."""

_PRODUCTS = 64
"""Multiply-adds that cost as much as reading an element."""


class Budget:
    """How many elements folding may still read and create."""

    def __init__(self, elements: int = FOLDING_BUDGET) -> None:
        self._left = elements

    def spend(self, elements: int) -> bool:
        """Takes a number off, or returns False if there is not enough left."""
        if elements > self._left:
            return False
        self._left -= elements
        return True


def elements_of(value: ir.Value | None) -> int:
    """Number of elements, beyond every budget when the shape is not known."""
    if value is None:
        return 0
    if value.shape is None or not value.shape.is_static():
        return FOLDING_BUDGET + 1
    return math.prod(value.shape.numpy())


def wanted(node: ir.Node) -> list[ir.Value | None]:
    """The outputs that have a name, or what is of their size and type where that is not inferred.

    Statistics of BatchNormalization are of the size of its scale.
    """
    named = [value for value in node.outputs if value.name]
    if node.domain == "" and node.op_type == "BatchNormalization":
        return [*named[:1], *(node.inputs[1] for _ in named[1:])]
    return list(named)


def created_by(node: ir.Node) -> int:
    """Elements of the outputs that somebody wants."""
    return sum(map(elements_of, wanted(node)))


def read_by(node: ir.Node) -> int:
    """Elements of the inputs, each counted once."""
    if has(node, Trait.EXTENT):
        return 0
    return sum(elements_of(value) for value in set(node.inputs))


def work_of(node: ir.Node) -> int:
    """Upper bound on the elements a node reads and creates, and a share of its multiply-adds.

    An operator that is neither of linear cost nor a sum of products is taken to read every input
    for every element that it creates. Beyond `FOLDING_BUDGET` if a size is not known.
    """
    created, read = created_by(node), read_by(node)
    if max(created, read) > FOLDING_BUDGET or has(node, Trait.LINEAR_COST):
        return created + read
    counted = has(node, Trait.CONVOLUTION | Trait.PRODUCT)
    products = multiply_adds_of(node) if counted else None
    return created + read + (created * read if products is None else products // _PRODUCTS)


_SHAPED = frozenset({"ConstantOfShape", "Expand", "Pad", "Range", "Resize", "Tile"})


def is_shaped_by_computed(node: ir.Node, computed: set[ir.Value]) -> bool:
    """Whether numbers that are yet to be computed say how large the result of a node is."""
    operands = node.inputs if node.op_type in {"ConstantOfShape", "Range"} else node.inputs[1:]
    return node.op_type in _SHAPED and not computed.isdisjoint(v for v in operands if v is not None)
