"""Weights for a runtime that mistakes those which several nodes read."""

import onnx_ir as ir


def own_weights(model: ir.Model) -> None:
    """Gives each ConvTranspose weights of its own, where others read them too, in place.

    OpenVINO 2025 and 2026 compute wrong sums where a Conv and the ConvTranspose of its gradient
    share weights.
    """
    graph = model.graph
    for node in graph:
        if node.op_type != "ConvTranspose" or node.domain not in {"", "ai.onnx"}:
            continue
        weight = node.inputs[1]
        held = None if weight is None else weight.const_value
        if weight is None or not weight.is_initializer() or len(weight.uses()) == 1:
            continue
        name = f"{weight.name}/of/{node.outputs[0].name}"
        own = ir.Value(
            name=name,
            shape=weight.shape,
            type=weight.type,
            # A tensor takes the name of its value: two values share its memory, not itself.
            const_value=None if held is None else ir.Tensor(held.numpy(), held.dtype, name=name),
        )
        graph.register_initializer(own)
        node.replace_input_with(1, own)
