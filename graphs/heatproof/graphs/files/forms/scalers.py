"""Writes ImageScaler, with which converters from Core ML scale the image, as Mul and Add.

ONNX Runtime knows the operator, which ONNX itself never took up: y = scale x + bias[channel].
"""

from collections.abc import Iterator

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from heatproof.graphs.files.walking import find


def without_scalers(proto: ModelProto) -> Iterator[str]:
    """Replaces each ImageScaler of a graph, in place; says so in sentences."""
    for graph in [found.message for found in find(proto, GraphProto)]:
        yield from _replaced(graph)


def _replaced(graph: GraphProto) -> Iterator[str]:
    scalers = [node for node in graph.node if node.op_type == "ImageScaler" and not node.domain]
    for node in scalers:
        yield f"node {node.name!r}, ImageScaler, is written as Mul and Add"
        scale, bias = _numbers(node)
        names = [f"{node.output[0]}/{part}" for part in ("scale", "bias", "scaled")]
        for name, array in zip(names, (scale, bias), strict=False):
            graph.initializer.append(numpy_helper.from_array(array, name))
        image, result = node.input[0], node.output[0]
        graph.node.add(
            op_type="Mul",
            name=f"{node.name}/scale",
            input=[image, names[0]],
            output=[names[2]],
        )
        node.op_type = "Add"
        node.input[:] = [names[2], names[1]]
        node.output[:] = [result]
        del node.attribute[:]


def _numbers(node: NodeProto) -> tuple[np.ndarray, np.ndarray]:
    held = {attribute.name: attribute for attribute in node.attribute}
    scale = held["scale"].f if "scale" in held else 1.0
    bias = list(held["bias"].floats) if "bias" in held else []
    column = np.array(bias or [0.0], np.float32).reshape(-1, 1, 1)
    return np.array(scale, np.float32), column
