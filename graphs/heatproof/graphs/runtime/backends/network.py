"""The seam between sessions and what runs them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import onnxruntime as ort
from numpy.typing import NDArray

from heatproof.graphs.runtime.cancellation import Cancellation

Array = NDArray[Any]

Feed: TypeAlias = Array | ort.OrtValue
"""What an input is given: an array, or what lies on a device already."""


class Network(Protocol):
    """A graph that is ready to run, in as many threads at once as it was opened for."""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs, in order."""
        ...

    def run(
        self, feeds: Mapping[str, Feed], outputs: Sequence[str], cancellation: Cancellation
    ) -> list[Array]:
        """Computes outputs by name.

        Raises:
            CancelledError: the cancellation came before or during the pass.
            ResourceExhaustedError: memory ran out.
            InvalidModelError: a node failed on these inputs.
        """
        ...
