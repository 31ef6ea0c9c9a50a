"""Brings a model into the plain form that every rewrite starts from."""

from heatproof.graphs.preparation.constants.costs import FOLDING_BUDGET as FOLDING_BUDGET
from heatproof.graphs.preparation.constants.execution import SMALL_TENSOR as SMALL_TENSOR
from heatproof.graphs.preparation.inference import forget_shapes as forget_shapes
from heatproof.graphs.preparation.inference import infer_shapes as infer_shapes
from heatproof.graphs.preparation.inference import reshape_input as reshape_input
from heatproof.graphs.preparation.preparing import prepared as prepared
