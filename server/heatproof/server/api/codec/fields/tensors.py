"""Between `Tensor` messages and arrays."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.server.workers.inputs import ArraySource, received
from heatproof.v1 import tensor_pb2

_TYPES: Final[Mapping[int, np.dtype[Any]]] = MappingProxyType(
    {
        tensor_pb2.DATA_TYPE_UINT8: np.dtype("<u1"),
        tensor_pb2.DATA_TYPE_FLOAT32: np.dtype("<f4"),
    }
)
_NUMBERS: Final = MappingProxyType({dtype.name: number for number, dtype in _TYPES.items()})


def check_tensor(message: tensor_pb2.Tensor, wanted: str, *ranks: int) -> ArraySource:
    """Checks that a tensor is of a type and rank and holds what its shape says.

    Args:
        message: the tensor.
        wanted: names of the accepted types, such as `uint8 float32`.
        ranks: accepted numbers of axes.

    Raises:
        InvalidArgumentError: it does not; names the field.
    """
    dtype = _TYPES.get(message.data_type)
    if dtype is None or dtype.name not in wanted.split():
        raise InvalidArgumentError(
            f"data_type must be {wanted.replace(' ', ' or ')}, not "
            f"{dtype.name if dtype else message.data_type}",
            field="data_type",
        )
    shape = tuple(message.shape)
    if len(shape) not in ranks or min(shape) < 1:
        raise InvalidArgumentError(
            f"shape must have {' or '.join(map(str, ranks))} extents, each at least 1, not "
            f"{list(shape)}",
            field="shape",
        )
    size = math.prod(shape) * dtype.itemsize
    if len(message.data) != size:
        raise InvalidArgumentError(
            f"data must hold {size} bytes for {dtype.name} {list(shape)}, not {len(message.data)}",
            field="data",
        )
    return ArraySource(message.data, dtype.name, shape)


def check_finite(source: ArraySource) -> ArraySource:
    """Refuses NaN and infinities.

    Raises:
        InvalidArgumentError: says where the first one is.
    """
    values = array(source)
    if not np.isfinite(values).all():
        place = [int(index) for index in np.argwhere(~np.isfinite(values))[0]]
        raise InvalidArgumentError(
            f"every value must be finite; the one at {place} is {values[tuple(place)]}",
            field="data",
        )
    return source


def binarised(masks: ArraySource, threshold: float | None) -> ArraySource:
    """Masks of floats as bytes: 1 where they are 1, or above the threshold.

    Raises:
        InvalidArgumentError: says where the first value is that is neither 0 nor 1, or with a
            threshold not finite.
    """
    values = array(masks)
    known = np.isfinite(values) if threshold is not None else (values == 0) | (values == 1)
    if not known.all():
        mask, row, column = (int(index) for index in np.argwhere(~known)[0])
        raise InvalidArgumentError(
            f"mask {mask} holds {values[mask, row, column]:.6g} at row {row}, column {column}; a "
            "cell is hidden (0) or visible (1): set threshold to show the cells above it"
            + (", and leave NaN and infinities out" if threshold is not None else ""),
            field="data",
        )
    visible = values > (0 if threshold is None else threshold)
    return ArraySource(visible.astype(np.uint8).tobytes(), "uint8", masks.shape)


def array(source: ArraySource) -> NDArray[Any]:
    """The elements, as a view of the bytes."""
    content = received(source.content)
    return np.frombuffer(content, np.dtype(source.dtype).newbyteorder("<")).reshape(source.shape)


def fill_tensor(message: tensor_pb2.Tensor, value: NDArray[Any]) -> None:
    """Writes an array into a message."""
    message.data_type = tensor_pb2.DataType.ValueType(_NUMBERS[value.dtype.name])
    message.shape.extend(value.shape)
    message.data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
