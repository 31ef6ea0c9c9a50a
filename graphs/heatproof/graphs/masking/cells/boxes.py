"""Means over each cell's 3 x 3 surroundings."""

import onnx_ir as ir

from heatproof.graphs.nodes.roles import Role, declare_role
from heatproof.graphs.operators.emitter import Attributes, Emitter

CELLS = 9
"""Of a box. Means instead of sums keep float16 in range."""

_WINDOW: Attributes = {
    "kernel_shape": [3, 3],
    "pads": [1, 1, 1, 1],
    "count_include_pad": 1,
}


def box_means(op: Emitter, value: ir.Value) -> ir.Value:
    """The mean over each cell's surroundings, with zeros behind the border, of each channel."""
    means = op("AveragePool", value, like=value, **_WINDOW)
    return declare_role(means, Role.BOX)
