"""Counts the multiply-adds of a model."""

import onnx_ir as ir

from heatproof.graphs.operators.products import multiply_adds_of


def multiply_adds(model: ir.Model, images: int) -> int:
    """Multiply-adds of convolutions and matrix products for one image; 0 if a size is open.

    The model is prepared and its batch is fixed at `images`: where the batch lies in a tensor is
    the model's own choice.
    """
    total = 0
    for node in model.graph:
        count = multiply_adds_of(node)
        if count is None:
            return 0
        total += count
    return total // images
