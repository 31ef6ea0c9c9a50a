"""Layer masking: hides parts of an image from a network, at every layer."""

from heatproof.graphs.masking import rules as rules
from heatproof.graphs.masking.options import ConcatVote, Fill, GlobalPool, MaskingOptions, Mode
from heatproof.graphs.masking.rewriting import layer_masked, masking_blockers

__all__ = [
    "ConcatVote",
    "Fill",
    "GlobalPool",
    "MaskingOptions",
    "Mode",
    "layer_masked",
    "masking_blockers",
]
