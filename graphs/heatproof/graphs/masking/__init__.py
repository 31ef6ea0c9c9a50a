"""Layer masking: hides parts of an image from a network, at every layer."""

from heatproof.graphs.masking import (  # noqa: F401 # importing a family registers its rules
    arithmetic,
    blocks,
    concatenation,
    convolution,
    extremes,
    normalisation,
    ordering,
    padding,
    pointwise,
    pooling,
    products,
    quantisation,
    reductions,
    resampling,
    selection,
    shapes,
    softmax,
)
from heatproof.graphs.masking.options import ConcatVote, GlobalPool, MaskingOptions, Mode
from heatproof.graphs.masking.rewriting import layer_masked, masking_blockers

__all__ = [
    "ConcatVote",
    "GlobalPool",
    "MaskingOptions",
    "Mode",
    "layer_masked",
    "masking_blockers",
]
