"""Convolutions read their neighbours: they fill their own input, and masks follow the window.

Without a fill they read X.M; a partial one is scaled by its visible cells (`partial`).
"""

import onnx_ir as ir

from heatproof.graphs.masking.options import Fill, Mode
from heatproof.graphs.masking.rules.movement import field_span
from heatproof.graphs.masking.rules.windows.partial import scale_sums
from heatproof.graphs.masking.scope import Scope
from heatproof.graphs.masking.states import NCHW, Spatial
from heatproof.graphs.masking.table import RULES
from heatproof.graphs.operators.windows import PlaneWindow, transposed_lines, window_of


@RULES.rule("Conv", 1, 11, 22)
def convolution(node: ir.Node, scope: Scope) -> Spatial:
    """Conv(fill(X, M, K)), K the kernel's width (strict: all that it can read); window rule."""
    value, state = scope.image(node)
    window = window_of(node, state.mask.size, _kernel(node, scope))
    rounds = fill_rounds(window, scope.options.mode)
    if window.spans != (1, 1):
        node.replace_input_with(0, scope.filled(value, state, rounds))
    finite = state.finite or window.spans != (1, 1)
    mask = scope.masks.slid(state.mask, window)
    if window.spans != (1, 1) and scope.options.fill is Fill.PARTIAL:
        scale_sums(node, state.mask, mask, scope)
    return Spatial(mask, NCHW, finite)


@RULES.rule("ConvTranspose", 1, 11, 22)
def transposed_convolution(node: ir.Node, scope: Scope) -> Spatial:
    """ConvTranspose(fill(X, M, floor(d(k - 1) / s))); window rule over what each cell reads."""
    value, state = scope.image(node)
    kernel = _kernel(node, scope)
    lines = [transposed_lines(node, i, state.mask.size[i], kernel[i]) for i in (0, 1)]
    rounds = max(map(field_span, lines))
    if rounds:
        node.replace_input_with(0, scope.filled(value, state, rounds))
    mask = scope.masks.reading(state.mask, *lines)
    if rounds and scope.options.fill is Fill.PARTIAL:
        scale_sums(node, state.mask, mask, scope)
    return Spatial(mask, NCHW, state.finite or rounds > 0)


def fill_rounds(window: PlaneWindow, mode: Mode) -> int:
    """Rounds after which nothing changes that a window with a visible cell reads.

    Two cells of a window are at most its span less one apart, so further rounds of the
    reference's K = kernel width cannot be seen.
    """
    farthest = max(window.spans) - 1
    return farthest if mode is Mode.STRICT else min(window.kernel[1], farthest)


def _kernel(node: ir.Node, scope: Scope) -> tuple[int, int]:
    weights = node.inputs[1]
    if (
        weights is None or weights.shape is None or weights.shape.rank() != 4
    ):  # [out, in, height, width]
        raise scope.refusal(node, "its weights are not of shape [out, in, height, width]")
    height, width = weights.shape[2:]
    if not isinstance(height, int) or not isinstance(width, int):
        raise scope.refusal(node, "its kernel size is not static")
    return height, width
