"""Reads the parameters of Pad, which are attributes before opset 11 and inputs since."""

from dataclasses import dataclass

import onnx_ir as ir

from heatproof.graphs.nodes.constants import constant_operand


@dataclass(frozen=True, slots=True)
class Pads:
    """What a Pad adds to each axis.

    Attributes:
        mode: constant, reflect, edge or wrap.
        begins: cells before each axis; negative ones are cropped.
        ends: cells behind each axis, likewise.
        value: content of the new cells in mode constant.
    """

    mode: str
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    value: float

    @property
    def flat(self) -> list[int]:
        """In the order of ONNX."""
        return [*self.begins, *self.ends]


def pads_of(node: ir.Node) -> Pads | None:
    """The parameters of a Pad; None if they are not constant or the rank is not known."""
    mode = node.attributes.get_string("mode", "constant") or "constant"
    if "pads" in node.attributes:
        flat = [int(count) for count in node.attributes["pads"].as_ints()]
        half = len(flat) // 2
        value = node.attributes.get_float("value", 0.0) or 0.0
        return Pads(mode, tuple(flat[:half]), tuple(flat[half:]), value)
    return _pads_by_input(node, mode)


def _pads_by_input(node: ir.Node, mode: str) -> Pads | None:
    x = node.inputs[0]
    counts, value, axes = (constant_operand(node, index) for index in (1, 2, 3))
    given = [operand for operand in node.inputs[1:] if operand is not None]
    known = [array for array in (counts, value, axes) if array is not None]
    if x is None or x.shape is None or counts is None or len(given) != len(known):
        return None
    rank = x.shape.rank()
    over = range(rank) if axes is None else [int(axis) % rank for axis in axes]
    begins, ends = [0] * rank, [0] * rank
    for axis, begin, end in zip(over, *counts.reshape(2, -1).tolist(), strict=True):
        begins[axis], ends[axis] = begin, end
    fill = 0.0 if value is None else float(value.reshape(-1)[0])
    return Pads(mode, tuple(begins), tuple(ends), fill)
