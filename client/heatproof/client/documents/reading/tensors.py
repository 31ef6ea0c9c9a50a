"""Tensors of whatever library as arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_array(values: Any) -> NDArray[Any]:  # noqa: ANN401  # whatever holds numbers
    """An array of NumPy; a tensor of torch is taken off its graph and its device."""
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = values.detach().cpu()
    array: NDArray[Any] = np.asarray(values)
    return array
