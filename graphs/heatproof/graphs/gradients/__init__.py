"""Reverse-mode differentiation of ONNX graphs, as graph rewriting."""

from heatproof.graphs.gradients import rules as rules
from heatproof.graphs.gradients.differentiation import (
    INPUT_GRADIENT,
    OUTPUT_GRADIENT,
    check_rectifiers,
    differentiated,
    gradient_blockers,
)
from heatproof.graphs.gradients.table import GRADIENTS

__all__ = [
    "GRADIENTS",
    "INPUT_GRADIENT",
    "OUTPUT_GRADIENT",
    "check_rectifiers",
    "differentiated",
    "gradient_blockers",
]
