"""Exposes intermediate tensors of a model as outputs."""

from collections.abc import Sequence

import onnx_ir as ir

from heatproof.evaluators.errors import UnknownNameError


def tapped(model: ir.Model, tensors: Sequence[str]) -> ir.Model:
    """Returns a copy of a model with tensors as further outputs, under their own names.

    Tensors that are outputs already stay where they are.

    Raises:
        UnknownNameError: a tensor is not computed by the graph; offers the nearest name.
    """
    copy = model.clone()
    computed = {value.name: value for node in copy.graph for value in node.outputs if value.name}
    for name in tensors:
        if name not in computed:
            raise UnknownNameError.among("tensor", name, computed)
        if computed[name] not in copy.graph.outputs:
            copy.graph.outputs.append(computed[name])
    return copy
