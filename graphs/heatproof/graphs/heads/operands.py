"""What the rules of a reading share: how operands are read, and what a factor does to them."""

from dataclasses import replace
from typing import Final, Protocol

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.graphs.heads.scores import Kind, Scores

ADDABLE: Final = frozenset({Kind.SOFTMAX, Kind.SIGMOID})
"""Kinds whose sums and bounds grow with a factor."""


class Reads(Protocol):
    """Whatever reads the operands of a node."""

    def read(self, value: ir.Value | None, axis: int | None) -> Scores | None:
        """What is known of a tensor whose classes lie along `axis`."""
        ...


def times(found: Scores | None, factor: NDArray[np.generic]) -> Scores | None:
    """Scores times a constant: one positive number."""
    if found is None or found.kind not in ADDABLE or factor.size != 1:
        return None
    number = float(factor.astype(np.float64).reshape(-1)[0])
    return replace(found, total=found.total * number) if number > 0 else None
