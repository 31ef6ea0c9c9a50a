"""Reads the bounds of Slice, which are attributes before opset 10 and inputs since."""

import onnx_ir as ir

from heatproof.graphs.nodes.constants import integers


def slices_of(node: ir.Node, rank: int) -> dict[int, slice] | None:
    """Slice by axis, None if the bounds are not constant.

    ONNX and Python agree on what negative and too large bounds mean.
    """
    if "starts" in node.attributes:
        starts, ends, axes = (
            list(node.attributes.get_ints(name, ())) for name in ("starts", "ends", "axes")
        )
        steps: list[int] = []
    else:
        operands = [*node.inputs[1:], None, None][:4]
        found = [[] if operand is None else integers(operand) for operand in operands]
        if None in found:
            return None
        starts, ends, axes, steps = (numbers or [] for numbers in found)
    axes = axes or list(range(len(starts)))
    steps = steps or [1] * len(starts)
    bounds = zip(axes, starts, ends, steps, strict=True)
    return {axis % rank: slice(start, end, step) for axis, start, end, step in bounds}
