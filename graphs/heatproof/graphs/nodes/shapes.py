"""Sizes of tensors, as far as they are known."""

import onnx_ir as ir


def channels_of(value: ir.Value) -> int:
    """Size of axis 1; 0 if it is not static."""
    size = 0 if value.shape is None or value.shape.rank() < 2 else value.shape[1]
    return size if isinstance(size, int) else 0


def size_of_map(value: ir.Value) -> tuple[int, int] | None:
    """Rows and columns of a tensor [N, C, height, width]; None if one is not static."""
    if value.shape is None or value.shape.rank() != 4:  # [N, C, height, width]
        return None
    height, width = value.shape[2:]
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None
