"""Weights for a runtime that mistakes those which several nodes read."""

import onnx_ir as ir


def own_weights(model: ir.Model) -> None:
    """Gives each ConvTranspose weights of its own, where others read them too, in place.

    OpenVINO 2025 computes wrong sums where a Conv and the ConvTranspose of its gradient share
    weights.
    """
    graph = model.graph
    for node in graph:
        if node.op_type != "ConvTranspose" or node.domain not in {"", "ai.onnx"}:
            continue
        weight = node.inputs[1]
        if weight is None or not weight.is_initializer() or len(weight.uses()) == 1:
            continue
        own = ir.Value(
            name=f"{weight.name}/of/{node.outputs[0].name}",
            shape=weight.shape,
            type=weight.type,
            const_value=weight.const_value,
        )
        graph.register_initializer(own)
        node.replace_input_with(1, own)
