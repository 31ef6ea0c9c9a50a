"""Which tensors of a model are feature maps."""

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

_RANK = 4


@dataclass(frozen=True, slots=True)
class FeatureMap:
    """A tensor [N, channels, height, width] computed from the image.

    Attributes:
        name: name of the tensor.
        channels: number of channels; 0 if dynamic, as for the next two.
        height: rows.
        width: columns.
    """

    name: str
    channels: int
    height: int
    width: int


def feature_maps(model: ir.Model) -> tuple[FeatureMap, ...]:
    """All feature maps of a prepared model, in order of computation."""
    found = (_as_feature_map(value) for value in _computed_values(model.graph))
    return tuple(one for one in found if one is not None)


def last_feature_map(model: ir.Model, logits: str) -> str:
    """Name of the feature map from which image information leaves space on its way to the logits.

    Found by structure: walking back from the logits through tensors without spatial extent, the
    first feature maps met; of several the last computed. Squeeze-and-excitation gates rejoin
    space, so their pools are never met. "" if there is none.
    """
    met = _maps_behind(_value_named(model.graph, logits))
    order = [value for value in _computed_values(model.graph) if value in met]
    return (order[-1].name or "") if order else ""


def _maps_behind(value: ir.Value | None) -> set[ir.Value]:
    met: set[ir.Value] = set()
    seen: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        if _as_feature_map(current) is not None:
            met.add(current)
            continue
        node = current.producer()
        if node is not None:
            waiting.extend(node.inputs)
    return met


def _value_named(graph: ir.Graph, name: str) -> ir.Value | None:
    return next((value for value in _computed_values(graph) if value.name == name), None)


def _computed_values(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in graph:
        yield from node.outputs


def _as_feature_map(value: ir.Value) -> FeatureMap | None:
    """A value of rank 4 with more than one cell; channels last is not one."""
    shape, node = value.shape, value.producer()
    if shape is None or shape.rank() != _RANK or node is None or _is_channels_last(value):
        return None
    channels, height, width = (size if isinstance(size, int) else 0 for size in shape[1:])
    if (height, width) == (1, 1) or value.dtype is None or not value.dtype.is_floating_point():
        return None
    return FeatureMap(value.name or "", channels, height, width)


def _is_channels_last(value: ir.Value) -> bool:
    """Whether the value comes from a transposition to [N, H, W, C] through pointwise nodes."""
    node = value.producer()
    while node is not None and node.inputs and node.inputs[0] is not None:
        if node.op_type == "Transpose":
            return tuple(node.attributes.get_ints("perm", ())) == (0, 2, 3, 1)
        operand = node.inputs[0]
        if operand.shape is None or operand.shape != value.shape:
            return False
        node = operand.producer()
    return False
