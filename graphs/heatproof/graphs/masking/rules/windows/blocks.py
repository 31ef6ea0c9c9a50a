"""Operators that move blocks of cells into channels and back."""

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.rules.movement import moved
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.windows import PlaneWindow


@RULES.rule("SpaceToDepth", 1, 13, 28)
def space_to_depth(node: ir.Node, scope: Scope) -> Spatial:
    """SpaceToDepth(fill(X, M, b - 1)), M' = maxpool(M; b, b): as a convolution of stride b."""
    value, state = scope.image(node)
    size = node.attributes.get_int("blocksize", 1)
    block, height, width = (size, size), *state.mask.size
    node.replace_input_with(0, scope.filled(value, state, size - 1))
    target = (height // size, width // size)
    window = PlaneWindow(block, block, (1, 1), (0, 0), state.mask.size, target)
    return Spatial(scope.masks.slid(state.mask, window), NCHW)


@RULES.rule("DepthToSpace", 1, 11, 13, 28)
def depth_to_space(node: ir.Node, scope: Scope) -> Spatial:
    """Each cell becomes a block of cells, as visible as it is."""
    _, state = scope.image(node)
    size = node.attributes.get_int("blocksize", 1)
    rows, columns = (np.eye(length, dtype=bool).repeat(size, axis=0) for length in state.mask.size)
    return Spatial(moved(state, {2: rows, 3: columns}, scope, node), NCHW, state.finite)
