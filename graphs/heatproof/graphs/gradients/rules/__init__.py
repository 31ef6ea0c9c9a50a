"""The gradient rules, a file a family of operators; importing them fills the table."""

from heatproof.graphs.gradients.rules import activations as activations
from heatproof.graphs.gradients.rules import arithmetic as arithmetic
from heatproof.graphs.gradients.rules import convolution as convolution
from heatproof.graphs.gradients.rules import einsum as einsum
from heatproof.graphs.gradients.rules import functions as functions
from heatproof.graphs.gradients.rules import indexing as indexing
from heatproof.graphs.gradients.rules import linear as linear
from heatproof.graphs.gradients.rules import normalization as normalization
from heatproof.graphs.gradients.rules import pooling as pooling
from heatproof.graphs.gradients.rules import reductions as reductions
from heatproof.graphs.gradients.rules import resampling as resampling
from heatproof.graphs.gradients.rules import shapes as shapes
