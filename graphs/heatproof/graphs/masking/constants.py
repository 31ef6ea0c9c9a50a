"""Constant operands of a node."""

import numpy as np
import onnx_ir as ir


def is_finite(value: ir.Value | None) -> bool:
    """Whether a tensor is a constant without infinities and NaN, or absent."""
    if value is None:
        return True
    if value.const_value is None:
        return False
    array = value.const_value.numpy()
    return not np.issubdtype(array.dtype, np.floating) or bool(np.isfinite(array).all())


def integers(value: ir.Value | None) -> list[int] | None:
    """The elements of a constant vector of integers, or None if it is not constant."""
    if value is None or value.const_value is None:
        return None
    return [int(number) for number in value.const_value.numpy().reshape(-1)]


def is_at_most(value: ir.Value | None, rank: int) -> bool:
    """Whether a tensor is known to have no more than `rank` axes."""
    return value is None or (value.shape is not None and value.shape.rank() <= rank)


def number(value: ir.Value | None) -> float | None:
    """A constant of one element, or None."""
    if value is None or value.const_value is None or value.const_value.size != 1:
        return None
    return float(value.const_value.numpy().reshape(())[()])
