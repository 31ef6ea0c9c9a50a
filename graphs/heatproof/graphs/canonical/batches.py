"""Frees a batch dimension that the exporter baked into the graph."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.files.notes import Note
from heatproof.graphs.nodes.captures import values_read
from heatproof.graphs.nodes.constants import constant_operand, replace_operand
from heatproof.graphs.operators.rules import Operator
from heatproof.graphs.preparation import reshape_input
from heatproof.graphs.preparation.shapes.settling import BATCH

_RESIZE_WITH_AXES = 18  # opset from which Resize can leave axes alone


def free_batch(model: ir.Model, input_name: str) -> None:
    """Makes the leading dimension of a prepared model's image input symbolic, in place.

    Constants that hold the exported batch size B are rewritten where the operator is known to keep
    rows apart:

    1. Reshape to a constant shape whose first size is a multiple of B: the first size becomes -1.
    2. Expand to a constant shape that starts with B: it starts with 1.
    3. Resize to constant sizes: the sizes of the batch and channels are left alone.

    Raises:
        UnsupportedModelError: afterwards an output still does not follow the batch dimension.
    """
    graph = model.graph
    image = next(value for value in graph.inputs if value.name == input_name)
    if image.shape is None:
        raise UnsupportedModelError(f"the image input {input_name!r} has no shape; export it again")
    first = image.shape[0]
    batch = first if isinstance(first, int) else 1
    rest = image.shape[1:]
    reshape_input(model, input_name, [batch, *rest])
    rows = _image_values(graph)
    for node in list(graph):
        rule = _RULES.get(node.op_type)
        if rule is not None and node.domain == "" and node.inputs[0] in rows:
            rule(node, batch)
    reshape_input(model, input_name, [BATCH, *rest])
    for output in graph.outputs:
        if output.shape is None or isinstance(output.shape[0], int):
            raise UnsupportedModelError(
                f"the model is exported for batch size {batch} only: output {output.name!r} keeps "
                f"the shape {output.shape} for other batch sizes; export it with a dynamic batch "
                "dimension"
            )


def is_batch_fixed(batch: int | None, output: ir.Value) -> bool:
    """Whether a model answers for one batch size only.

    Some exporters declare a free batch and bake 1 into a Reshape all the same.

    Args:
        batch: the batch size of the image input; None if any is taken.
        output: the output with the class scores.
    """
    shape = output.shape
    return batch is not None or shape is None or isinstance(shape[0], int)


def freed(batch: int | None) -> Note:
    """What a user must know of a model whose batch was freed."""
    return Note(
        f"the model is exported for batch size {batch or 1} only: its batch dimension is freed, "
        "and its rows are compared with answers for one image"
    )


def _image_values(graph: ir.Graph) -> set[ir.Value]:
    """Values computed from the inputs, as opposed to from constants alone."""
    found = set(graph.inputs)
    for node in graph:
        if not found.isdisjoint(values_read(node)):
            found.update(node.outputs)
    return found


def _free_reshape(node: ir.Node, batch: int) -> None:
    target, shape = _ints(node, 1), node.outputs[0].shape
    if target is None or shape is None or not shape.is_static() or not len(target):
        return
    first, *rest = shape.numpy()
    follows = target[0] == 0 and not node.attributes.get_int("allowzero", 0)
    if first % batch == 0 and not follows:
        _set_ints(node, 1, [-1, *rest])


def _free_expand(node: ir.Node, batch: int) -> None:
    target, x = _ints(node, 1), node.inputs[0]
    same_rank = x is not None and x.shape is not None and x.shape.rank() == len(target or ())
    if target is not None and same_rank and target[0] == batch:
        _set_ints(node, 1, [1, *target[1:]])


def _free_resize(node: ir.Node, batch: int) -> None:
    sizes = _ints(node, 3)
    if not sizes or sizes[0] != batch or "axes" in node.attributes:
        return
    operator = None if node.graph is None else Operator.of(node, node.graph.opset_imports)
    if operator is None or operator.since_version < _RESIZE_WITH_AXES:
        _set_scales(node, sizes)
        return
    node.attributes["axes"] = ir.AttrInt64s("axes", list(range(2, len(sizes))))
    _set_ints(node, 3, sizes[2:])


def _set_scales(node: ir.Node, sizes: list[int]) -> None:
    """Scales instead of sizes, nudged upwards because the output size is rounded down."""
    x = node.inputs[0]
    if x is None or x.shape is None or not x.shape.is_static():
        return
    scales = np.array(sizes, np.float64) / np.array(x.shape.numpy())
    rounded = scales.astype(np.float32)
    short = np.floor(rounded.astype(np.float64) * x.shape.numpy()) < sizes
    rounded[short] = np.nextafter(rounded[short], np.float32(np.inf))
    replace_operand(node, 2, rounded)
    node.replace_input_with(3, None)


_RULES: Mapping[str, Callable[[ir.Node, int], None]] = MappingProxyType(
    {"Reshape": _free_reshape, "Expand": _free_expand, "Resize": _free_resize}
)


def _ints(node: ir.Node, index: int) -> list[int] | None:
    array = constant_operand(node, index)
    return None if array is None else [int(size) for size in array.reshape(-1)]


def _set_ints(node: ir.Node, index: int, sizes: list[int]) -> None:
    replace_operand(node, index, np.array(sizes, np.int64))
