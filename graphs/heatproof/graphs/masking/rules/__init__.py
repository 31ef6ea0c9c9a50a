"""The masking rules, a file a family of operators; importing them fills the table."""

from heatproof.graphs.masking.rules import arithmetic as arithmetic
from heatproof.graphs.masking.rules import blocks as blocks
from heatproof.graphs.masking.rules import concatenation as concatenation
from heatproof.graphs.masking.rules import convolution as convolution
from heatproof.graphs.masking.rules import extremes as extremes
from heatproof.graphs.masking.rules import normalisation as normalisation
from heatproof.graphs.masking.rules import ordering as ordering
from heatproof.graphs.masking.rules import padding as padding
from heatproof.graphs.masking.rules import pointwise as pointwise
from heatproof.graphs.masking.rules import pooling as pooling
from heatproof.graphs.masking.rules import products as products
from heatproof.graphs.masking.rules import quantisation as quantisation
from heatproof.graphs.masking.rules import reductions as reductions
from heatproof.graphs.masking.rules import resampling as resampling
from heatproof.graphs.masking.rules import selection as selection
from heatproof.graphs.masking.rules import shapes as shapes
from heatproof.graphs.masking.rules import softmax as softmax
