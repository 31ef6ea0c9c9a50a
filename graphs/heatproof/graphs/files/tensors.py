"""How large stored tensors are, by what they say of themselves."""

import math

import onnx_ir as ir
from onnx import TensorProto

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.files.walking import Message, find

_MAX_RANK = 64


def stored_bytes(tensor: TensorProto) -> int:
    """Number of bytes of the elements of a tensor.

    Raises:
        InvalidModelError: a dimension is negative, there are too many of them, or the element type
            is not of a fixed size.
    """
    try:
        bits = ir.DataType(tensor.data_type).bitwidth
    except (TypeError, ValueError) as error:
        raise InvalidModelError(
            f"tensor {tensor.name!r} has element type {tensor.data_type}, which has no fixed size"
        ) from error
    if len(tensor.dims) > _MAX_RANK:
        raise InvalidModelError(
            f"tensor {tensor.name!r} has {len(tensor.dims)} dimensions; it may have {_MAX_RANK}"
        )
    if any(size < 0 for size in tensor.dims):
        raise InvalidModelError(
            f"tensor {tensor.name!r} has a negative dimension {min(tensor.dims)}"
        )
    return -(-math.prod(tensor.dims) * bits // 8)


def external_bytes(root: Message) -> int:
    """Number of bytes of all external tensors inside a message.

    Raises:
        InvalidModelError: as `stored_bytes` does.
    """
    tensors = (found.message for found in find(root, TensorProto))
    return sum(stored_bytes(one) for one in tensors if one.data_location == TensorProto.EXTERNAL)
