"""Means over each cell's 3 x 3 surroundings."""

import onnx_ir as ir

from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.emission import Attribute, Emitter

CELLS = 9
"""Of a box. Means instead of sums keep float16 in range."""

_WINDOW: dict[str, Attribute] = {
    "kernel_shape": [3, 3],
    "pads": [1, 1, 1, 1],
    "count_include_pad": 1,
}


def box_means(emit: Emitter, value: ir.Value) -> ir.Value:
    """The mean over each cell's surroundings, with zeros behind the border, of each channel."""
    means = emit.node("AveragePool", value, like=value, attributes=_WINDOW)
    return declare_role(means, Role.BOX)
