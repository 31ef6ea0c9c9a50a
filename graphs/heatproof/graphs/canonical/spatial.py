"""Which tensors of a model are feature maps.

Spatial axes are followed from operators that define them, such as Conv, through the graph: token
matrices and attention scores have rank 4 too, and channels-last maps have rows where others have
channels.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

import onnx_ir as ir

from heatproof.evaluators.errors import UnsupportedModelError
from heatproof.graphs.heads.signature import Layout, find_image_input
from heatproof.graphs.operators import families as of
from heatproof.graphs.operators.traits import Trait, has, traits_of

_RANK = 4
_FIRST = (2, 3)  # height and width of [N, C, H, W]
_LAST = (1, 2)  # and of [N, H, W, C]

PlaneAxes: TypeAlias = tuple[int, int]
"""Where the rows and the columns of a tensor lie."""

PlaneSize: TypeAlias = tuple[int | ir.SymbolicDim, int | ir.SymbolicDim]


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
    """All feature maps of a prepared model, in order of computation; channels last are none."""
    return tuple(_described(value) for value in _maps(model))


def last_feature_map(model: ir.Model, logits: str) -> str:
    """Name of the feature map from which image information leaves space on its way to the logits.

    Found by structure: walking back from the logits through tensors that are no feature maps, the
    first ones met; of several the last computed. Squeeze-and-excitation gates rejoin space, so
    their pools are never met. "" if there is none.
    """
    maps = _maps(model)
    met = _met_first(_value_named(model.graph, logits), frozenset(maps))
    return next((value.name or "" for value in reversed(maps) if value in met), "")


def _met_first(value: ir.Value | None, maps: frozenset[ir.Value]) -> set[ir.Value]:
    met: set[ir.Value] = set()
    seen: set[ir.Value] = set()
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if current is None or current in seen:
            continue
        seen.add(current)
        node = current.producer()
        if current in maps:
            met.add(current)
        elif node is not None:
            waiting.extend(node.inputs)
    return met


def _value_named(graph: ir.Graph, name: str) -> ir.Value | None:
    return next((value for value in _computed_values(graph) if value.name == name), None)


def _computed_values(graph: ir.Graph) -> Iterator[ir.Value]:
    for node in graph:
        yield from node.outputs


def _maps(model: ir.Model) -> list[ir.Value]:
    """Floating tensors with more than one cell whose rows and columns come last."""
    axes = spatial_axes(model)
    return [
        value
        for value in _computed_values(model.graph)
        if axes.get(value) == _FIRST
        and value.dtype is not None
        and value.dtype.is_floating_point()
        and _size(value, _FIRST) != (1, 1)
    ]


def _described(value: ir.Value) -> FeatureMap:
    shape = () if value.shape is None else value.shape
    channels, height, width = (size if isinstance(size, int) else 0 for size in shape[1:])
    return FeatureMap(value.name or "", channels, height, width)


def spatial_axes(model: ir.Model) -> Mapping[ir.Value, PlaneAxes]:
    """Rows and columns of the image and of tensors of rank 4, as far as they are known."""
    known: dict[ir.Value | None, PlaneAxes] = dict(_image_axes(model))
    sizes = {_size(value, axes) for value, axes in known.items()}
    for node in model.graph:
        found = _rule_of(node)(node, _Known(known, sizes))
        for value in node.outputs:
            if found is not None and value.shape is not None and value.shape.rank() == _RANK:
                known[value] = found
                sizes.add(_size(value, found))
    return {value: axes for value, axes in known.items() if value is not None}


def _image_axes(model: ir.Model) -> Iterator[tuple[ir.Value, PlaneAxes]]:
    with suppress(UnsupportedModelError):  # operators that define axes are enough
        image = find_image_input(model)
        axes = _FIRST if image.layout is Layout.NCHW else _LAST
        yield from ((value, axes) for value in model.graph.inputs if value.name == image.name)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of the tensors before a node.

    Attributes:
        axes: spatial axes by tensor.
        sizes: heights and widths that maps have had.
    """

    axes: Mapping[ir.Value | None, PlaneAxes]
    sizes: set[PlaneSize]


_Rule: TypeAlias = Callable[[ir.Node, _Known], PlaneAxes | None]


def _planar(_node: ir.Node, _known: _Known) -> PlaneAxes:
    """Rows and columns come last by definition of the operator."""
    return _FIRST


def _kept(node: ir.Node, known: _Known) -> PlaneAxes | None:
    """As in the operand with most cells: gates may have lost their place."""
    operands = [value for value in node.inputs if value in known.axes]
    largest = max(operands, key=lambda value: _cells(value, known.axes[value]), default=None)
    return known.axes.get(largest)


def _pooled(node: ir.Node, known: _Known) -> PlaneAxes | None:
    """As in the operand, until a side is pooled to one cell: a row of means is no map."""
    found = known.axes.get(node.inputs[0], _FIRST if has(node, Trait.WINDOW) else None)
    if found is None or node.inputs[0] is None:
        return None
    pairs = zip(_size(node.inputs[0], found), _size(node.outputs[0], found), strict=True)
    return None if any(before != 1 and after == 1 for before, after in pairs) else found


def _transposed(node: ir.Node, known: _Known) -> PlaneAxes | None:
    """Where the permutation puts them."""
    found = known.axes.get(node.inputs[0])
    places = list(node.attributes.get_ints("perm", range(_RANK - 1, -1, -1)))
    return found and (places.index(found[0]), places.index(found[1]))


def _reshaped(node: ir.Node, known: _Known) -> PlaneAxes | None:
    """Where a height and a width lie that a map has had: channel shuffles, tokens put in place."""
    candidates = [known.axes.get(node.inputs[0], _FIRST), _FIRST, _LAST]
    return next((axes for axes in candidates if _size(node.outputs[0], axes) in known.sizes), None)


def _size(value: ir.Value | None, axes: PlaneAxes) -> PlaneSize:
    shape = None if value is None else value.shape
    if shape is None or shape.rank() != _RANK:
        return (1, 1)
    return (shape[axes[0]], shape[axes[1]])


def _cells(value: ir.Value | None, axes: PlaneAxes) -> int:
    rows, columns = (side if isinstance(side, int) else 2 for side in _size(value, axes))
    return rows * columns


_BY_TYPE: Mapping[str, _Rule] = MappingProxyType(
    {
        **dict.fromkeys(of.BLOCK_MOVES, _planar),
        "Transpose": _transposed,
        **dict.fromkeys(("Flatten", "Reshape"), _reshaped),
    }
)
"""Views have no trait in common that says where their axes go."""

_BY_TRAIT: tuple[tuple[Trait, _Rule], ...] = (
    (Trait.REDUCING, _pooled),
    (Trait.WINDOW, _planar),
)


def _rule_of(node: ir.Node) -> _Rule:
    traits = traits_of(node)
    by_trait = (rule for trait, rule in _BY_TRAIT if trait in traits)
    return _BY_TYPE.get(node.op_type) or next(by_trait, _kept)
