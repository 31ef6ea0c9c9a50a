"""Brings equal computations into one form, where the form would decide the masks."""

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedOperatorError
from heatproof.graphs.masking.rearrangement import name_rearrangements
from heatproof.graphs.preparation.pad_folding import fold_pads

_MOST_PARTS = 50_000
"""Inputs of the concatenations of one graph, once they read no other concatenations."""


def simplify(model: ir.Model) -> None:
    """Simplifies a prepared model in place.

    1. Concat(Concat(a, b), c) = Concat(a, b, c): the vote must not depend on the exporter.
    2. Pads join the convolutions and pools that read them.
    3. Rearrangements of blocks written in other operators become SpaceToDepth or DepthToSpace.
    """
    fold_pads(model)
    name_rearrangements(model)
    _flatten(model.graph)


def _flatten(graph: ir.Graph) -> None:
    """Joins concatenations with those they read; earlier nodes are flat already.

    Raises:
        UnsupportedOperatorError: they read one another so often that no graph can hold the result.
    """
    total = 0
    for node in tuple(graph):
        parts = _parts(node) if node.op_type == "Concat" else ()
        if len(parts) > len(node.inputs):
            total += len(parts)
            if total > _MOST_PARTS:
                raise UnsupportedOperatorError(
                    f"node {node.name!r}: Concat joins other concatenations of, all together, more "
                    f"than {_MOST_PARTS} parts; layer masking takes at most that many",
                    metadata={"node": node.name or "", "operator": "Concat"},
                )
            flat = ir.Node("", "Concat", parts, node.attributes.values(), name=node.name)
            ir.convenience.replace_nodes_and_values(
                graph, node, [node], [flat], node.outputs, flat.outputs
            )


def _parts(node: ir.Node) -> list[ir.Value | None]:
    parts: list[ir.Value | None] = []
    for value in node.inputs:
        inner = None if value is None else value.producer()
        if inner is not None and inner.op_type == "Concat" and _axis(inner) == _axis(node):
            parts.extend(inner.inputs)
        else:
            parts.append(value)
        if len(parts) > _MOST_PARTS:
            break
    return parts


def _axis(node: ir.Node) -> int | None:
    """The axis counted from the front; None if it is not known, which equals nothing."""
    axis = node.attributes.get_int("axis", 1)
    shape = node.outputs[0].shape
    return axis if axis >= 0 else None if shape is None else axis + shape.rank()
