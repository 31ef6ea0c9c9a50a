"""Brings old models to an opset that rewrites can be written in."""

import onnx_ir as ir
from onnxscript import version_converter

from heatproof.evaluators.errors import UnsupportedModelError

OLDEST_WRITTEN = 11
"""Oldest opset whose operators the gradient rules are written in."""

_RAISED = 13
"""Opset of a model that was raised: from it on, ReduceSum takes computed axes."""


def raised(model: ir.Model) -> ir.Model:
    """The model itself, or a converted copy if its opset is older than `OLDEST_WRITTEN`.

    Raises:
        UnsupportedModelError: the model cannot be converted.
    """
    opset = model.graph.opset_imports[""]
    if opset >= OLDEST_WRITTEN:
        return model
    copy = model.clone()
    try:
        version_converter.convert_version(copy, _RAISED, fallback=True)
    except (RuntimeError, ValueError) as error:
        raise UnsupportedModelError(
            f"opset {opset} cannot be converted to {_RAISED}: {error}; "
            f"export the model with opset {OLDEST_WRITTEN} or later"
        ) from error
    return copy
