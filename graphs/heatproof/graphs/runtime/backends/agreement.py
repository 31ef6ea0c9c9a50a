"""Holds what computes beside the processor to what the processor computes."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.graphs.composition import COLOUR_SIZES
from heatproof.graphs.runtime.backends.network import Network
from heatproof.graphs.runtime.backends.onnxruntime_networks import OnnxRuntimeNetwork
from heatproof.graphs.runtime.backends.providers import Provider
from heatproof.graphs.runtime.cancellation import Cancellation

_ROWS: Final = 2
_TOLERANCE: Final = 1e-2
"""Largest length of all differences of an output over the length of its values: sums in another
order stay below, even where they move a gradient across the kink of a rectifier; wrong kernels do
not."""

_TYPES: Final = {"tensor(bool)": np.bool_, "tensor(int32)": np.int32}
"""Of what is no number but says where something lies, and whether it is seen."""


def require_agreement(found: Network, expected: OnnxRuntimeNetwork, provider: Provider) -> None:
    """Runs two random rows through one graph on two runtimes.

    Args:
        found: runs on the provider.
        expected: runs on the processor.
        provider: what is held to it.

    Raises:
        FailedPreconditionError: an output differs by more than a hundredth of its length.
    """
    feeds, outputs, nobody = _random_rows(expected.inputs), expected.outputs, Cancellation()
    answers = [network.run(feeds, outputs, nobody) for network in (found, expected)]
    pairs = zip(*answers, strict=True)
    for name, (one, other) in zip(outputs, pairs, strict=True):
        share = _difference(np.asarray(one, np.float64), np.asarray(other, np.float64))
        if not share <= _TOLERANCE:
            raise FailedPreconditionError(
                f"{provider} computes this network otherwise than the processor: {name} differs by "
                f"{share:.2g} of its length; run the server with provider cpu",
                field="provider",
            )


def _random_rows(inputs: Sequence[ort.NodeArg]) -> dict[str, NDArray[np.generic]]:
    """Zeros and ones for masks, which have one channel, and for places; else values in [0, 1]."""
    random = np.random.default_rng(0)
    feeds: dict[str, NDArray[np.generic]] = {}
    for held in inputs:
        values = random.random([_size(one) for one in held.shape], dtype=np.float32)
        is_mask = values.ndim > _ROWS and values.shape[1] == 1
        dtype = _TYPES.get(held.type, np.float32)
        is_chosen = is_mask or dtype is not np.float32
        feeds[held.name] = (values < 0.5).astype(dtype) if is_chosen else values
    return feeds


def _size(stated: int | str | None) -> int:
    """Of an axis; there are as many images and cells as rows, and what lies behind is a colour."""
    if isinstance(stated, int):
        return stated
    return 1 if stated in COLOUR_SIZES else _ROWS


def _difference(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Length of the difference over that of the values; where both are NaN nothing differs."""
    differing = np.where(np.isnan(mine) & np.isnan(theirs), 0.0, mine - theirs)
    length = float(np.linalg.norm(np.nan_to_num(theirs)))
    return float(np.linalg.norm(differing)) / max(length, 1e-6)
