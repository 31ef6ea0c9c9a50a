"""The masking rules, a file a family of operators; importing them fills the table."""

from heatproof.graphs.masking.rules import arithmetic as arithmetic
from heatproof.graphs.masking.rules import pointwise as pointwise
from heatproof.graphs.masking.rules import products as products
from heatproof.graphs.masking.rules import quantization as quantization
from heatproof.graphs.masking.rules.arrangement import concatenation as concatenation
from heatproof.graphs.masking.rules.arrangement import ordering as ordering
from heatproof.graphs.masking.rules.arrangement import selection as selection
from heatproof.graphs.masking.rules.arrangement import shapes as shapes
from heatproof.graphs.masking.rules.statistics import extremes as extremes
from heatproof.graphs.masking.rules.statistics import normalization as normalization
from heatproof.graphs.masking.rules.statistics import reductions as reductions
from heatproof.graphs.masking.rules.statistics import softmax as softmax
from heatproof.graphs.masking.rules.windows import blocks as blocks
from heatproof.graphs.masking.rules.windows import convolution as convolution
from heatproof.graphs.masking.rules.windows import padding as padding
from heatproof.graphs.masking.rules.windows import pooling as pooling
from heatproof.graphs.masking.rules.windows import resampling as resampling
