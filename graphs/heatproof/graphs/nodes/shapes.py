"""Sizes of tensors, as far as they are known."""

import onnx_ir as ir


def channels_of(value: ir.Value) -> int:
    """Size of axis 1; 0 if it is not static."""
    size = 0 if value.shape is None or value.shape.rank() < 2 else value.shape[1]
    return size if isinstance(size, int) else 0
