"""Reverse-mode differentiation of ONNX graphs, as graph rewriting.

Importing the families of rules fills the table.
"""

from heatproof.graphs.gradients import activations as activations
from heatproof.graphs.gradients import arithmetic as arithmetic
from heatproof.graphs.gradients import convolution as convolution
from heatproof.graphs.gradients import einsum as einsum
from heatproof.graphs.gradients import functions as functions
from heatproof.graphs.gradients import indexing as indexing
from heatproof.graphs.gradients import linear as linear
from heatproof.graphs.gradients import normalisation as normalisation
from heatproof.graphs.gradients import pooling as pooling
from heatproof.graphs.gradients import reductions as reductions
from heatproof.graphs.gradients import resampling as resampling
from heatproof.graphs.gradients import shapes as shapes
from heatproof.graphs.gradients.differentiation import (
    INPUT_GRADIENT,
    OUTPUT_GRADIENT,
    differentiated,
    gradient_blockers,
)
from heatproof.graphs.gradients.table import GRADIENTS

__all__ = [
    "GRADIENTS",
    "INPUT_GRADIENT",
    "OUTPUT_GRADIENT",
    "differentiated",
    "gradient_blockers",
]
