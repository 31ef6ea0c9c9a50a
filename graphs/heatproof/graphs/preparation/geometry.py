"""Refuses nodes whose numbers fit no tensor: strides of 0, groups that do not divide, no cells.

`onnx.checker` looks at the kinds of attributes, not at their values.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from heatproof.evaluators.errors import InvalidModelError
from heatproof.graphs.operators.families import POOLS
from heatproof.graphs.operators.products import kernel_of

_LARGEST: Final = 1 << 20
"""Cells that a window may span or step over; more than any image has on a side."""

_LONGEST: Final = 1 << 24
"""Cells that a map may have on a side."""

_POSITIVE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "strides": frozenset(),
        "dilations": frozenset(),
        "kernel_shape": frozenset(),
        "group": frozenset(),
        "blocksize": frozenset(),
        "num_groups": frozenset(),
        "num_outputs": frozenset({"Split"}),
        "size": frozenset({"LRN"}),
        "p": frozenset({"LpPool", "GlobalLpPool", "LpNormalization"}),
    }
)
"""Attributes that are at least 1, and the operators that they are read of; empty: of all."""

_BOUNDED: Final = frozenset({"pads", "output_padding", *_POSITIVE})
_ALONG_AXIS: Final = frozenset(
    {"Softmax", "LogSoftmax", "Hardmax", "Concat", "Split", "Gather", "ArgMax", "ArgMin", "TopK"}
)
_IMAGE_RANK: Final = 3
_MAP_RANK: Final = 4

_CONSTANTS: Final[Mapping[tuple[str, int], tuple[Callable[[NDArray[np.float64]], object], str]]] = (
    MappingProxyType(
        {
            ("ConstantOfShape", 0): (lambda sizes: (sizes >= 0).all(), "sizes of at least 0"),
            ("Expand", 1): (lambda sizes: (sizes >= -1).all(), "sizes of at least 1"),
            ("OneHot", 1): (lambda depth: (depth >= 1).all(), "a depth of at least 1"),
            ("Pad", 1): (
                lambda pads: (np.abs(pads) <= _LARGEST).all(),
                f"paddings of at most {_LARGEST}",
            ),
            ("Range", 2): (lambda step: (step != 0).all(), "a step other than 0"),
            ("Reshape", 1): (
                lambda sizes: (sizes >= -1).all() and (sizes == -1).sum() < 2,
                "sizes, 0 or one -1",
            ),
            ("Resize", 2): (
                lambda scales: (np.isfinite(scales) & (scales > 0)).all(),
                "finite scales above 0",
            ),
            ("Resize", 3): (lambda sizes: (sizes >= 1).all(), "sizes of at least 1"),
            ("Slice", 4): (lambda steps: (steps != 0).all(), "steps other than 0"),
            ("Tile", 1): (lambda repeats: (repeats >= 0).all(), "repeats of at least 0"),
            ("Upsample", 1): (
                lambda scales: (np.isfinite(scales) & (scales > 0)).all(),
                "finite scales above 0",
            ),
        }
    )
)
"""What constant inputs must hold, by operator and index of the input, and how to say it."""


def check_attributes(model: ir.Model) -> None:
    """Looks at what nodes say of themselves, before anything computes with it.

    Raises:
        InvalidModelError: names node, operator and attribute.
    """
    for node in _nodes(model):
        for attribute in node.attributes.values():
            if attribute.name in _BOUNDED:
                _check_numbers(node, attribute)
        _check_window(node)
        _check_group(node)
        _check_permutation(node)


def check_sizes(model: ir.Model) -> None:
    """Looks at constant inputs and inferred sizes of a model whose constants are folded.

    Raises:
        InvalidModelError: names node, operator and what does not fit.
    """
    given = {size for value in model.graph.inputs for size in value.shape or ()}
    for node in _nodes(model):
        for index, value in enumerate(node.inputs):
            _check_constant(node, index, value)
        _check_axis(node)
        for output in node.outputs:
            _check_extents(node, output)
            _check_sides(node, output, given)


def _nodes(model: ir.Model) -> Iterator[ir.Node]:
    return (node for node in ir.traversal.RecursiveGraphIterator(model.graph) if not node.domain)


def _refused(node: ir.Node, fault: str) -> InvalidModelError:
    return InvalidModelError(
        f"node {node.name!r} ({node.op_type}): {fault}; check how the model was exported",
        metadata={"node": node.name or "", "operator": node.op_type},
    )


def _check_numbers(node: ir.Node, attribute: ir.Attr) -> None:
    if attribute.type not in {ir.AttributeType.INT, ir.AttributeType.INTS}:
        return
    numbers = (
        attribute.as_ints() if attribute.type is ir.AttributeType.INTS else [attribute.as_int()]
    )
    operators = _POSITIVE.get(attribute.name)
    if operators is None:
        least = -_LARGEST if node.op_type == "Pad" else 0  # only Pad may cut cells away
    else:
        least = 1 if not operators or node.op_type in operators else -_LARGEST
    if any(not least <= number <= _LARGEST for number in numbers):
        shown = numbers[0] if attribute.type is ir.AttributeType.INT else list(numbers)
        raise _refused(node, f"{attribute.name} must lie in [{least}, {_LARGEST}], not {shown}")


def _check_window(node: ir.Node) -> None:
    """Strides, dilations and pads say as much as the window has axes."""
    axes = _window_axes(node)
    for name, factor in (("strides", 1), ("dilations", 1), ("pads", 2), ("kernel_shape", 1)):
        numbers = node.attributes.get_ints(name)
        if axes is not None and numbers and len(numbers) != factor * axes:
            raise _refused(
                node, f"{name} must hold {factor * axes} numbers for a window of {axes} axes"
            )


def _window_axes(node: ir.Node) -> int | None:
    kernel = kernel_of(node)
    if kernel is not None:
        return None if kernel.shape is None else len(kernel.shape) - 2
    if node.op_type in POOLS:
        return len(node.attributes.get_ints("kernel_shape", ())) or None
    return None


def _check_group(node: ir.Node) -> None:
    kernel = kernel_of(node)
    channels = kernel.shape[0] if kernel is not None and kernel.shape else None
    group = node.attributes.get_int("group", 1)
    if isinstance(channels, int) and channels % group:
        raise _refused(node, f"group {group} does not divide {channels} channels of the weights")


def _check_permutation(node: ir.Node) -> None:
    order = node.attributes.get_ints("perm") if node.op_type == "Transpose" else None
    if order and sorted(order) != list(range(len(order))):
        raise _refused(node, f"perm must hold each axis once, not {list(order)}")


def _check_axis(node: ir.Node) -> None:
    shape = _shape(node, 0) if node.op_type in _ALONG_AXIS else None
    axis = node.attributes.get_int("axis")
    if shape and axis is not None and not -len(shape) <= axis < len(shape):
        raise _refused(node, f"axis {axis} is none of {len(shape)}")


def _check_constant(node: ir.Node, index: int, value: ir.Value | None) -> None:
    is_sound, wanted = _CONSTANTS.get((node.op_type, index), (None, ""))
    tensor = value.const_value if value is not None else None
    if is_sound is None or tensor is None or not 0 < tensor.size <= _LARGEST:
        return
    found = tensor.numpy().astype(np.float64)
    if not is_sound(found):
        raise _refused(node, f"input {index} must hold {wanted}, not {found.ravel()[:8].tolist()}")


def _check_extents(node: ir.Node, output: ir.Value) -> None:
    sizes = [size for size in output.shape or () if isinstance(size, int)]
    is_empty = len(output.shape or ()) >= _IMAGE_RANK and 0 in sizes
    if is_empty or any(size < 0 for size in sizes):
        raise _refused(node, f"its output would have sizes {_shown(output)}, which is no tensor")


def _check_sides(node: ir.Node, output: ir.Value, given: AbstractSet[object]) -> None:
    """Refuses maps far larger than images, but for those of the image's own size."""
    shape = tuple(output.shape or ())
    sides = [size for size in shape[2:] if isinstance(size, int) and size not in given]
    if len(shape) >= _MAP_RANK and max(sides, default=0) > _LONGEST:
        raise _refused(
            node, f"its output would have sizes {_shown(output)}; the most is {_LONGEST} a side"
        )


def _shown(value: ir.Value) -> str:
    return str([size if isinstance(size, int) else str(size) for size in value.shape or ()])


def _shape(node: ir.Node, index: int) -> Sequence[object] | None:
    value = node.inputs[index] if index < len(node.inputs) else None
    return None if value is None or value.shape is None else tuple(value.shape)
