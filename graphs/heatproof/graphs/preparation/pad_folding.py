"""Folds Pad into the convolutions and pools that read it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from heatproof.graphs.operators.pads import Pads, pads_of

_SPATIAL_FROM = 2  # axes 0 and 1 are batch and channels
_COUNTS_SINCE = 7  # opset that let an AveragePool count its padding
_LOWEST = float(np.finfo(np.float32).min)


def fold_pads(model: ir.Model) -> None:
    """Lets convolutions and pools pad by themselves, in place.

    1. Conv(Pad(x, zeros)) = Conv(x) with larger pads.
    2. AveragePool(Pad(x, zeros)) = AveragePool(x) with larger pads, which count.
    3. MaxPool(Pad(x, lowest)) = MaxPool(x) with larger pads.

    The Pad is constant, non-negative and over spatial axes only. Readers with automatic padding,
    and pools that round sizes up or would be padded by as much as their kernel, keep the Pad.
    """
    for node in list(model.graph):
        if node.op_type == "Pad" and node.domain == "":
            pads = pads_of(node)
            if pads is not None and _is_spatial(pads):
                _fold(node, pads)


def _is_spatial(pads: Pads) -> bool:
    outside = pads.begins[:_SPATIAL_FROM] + pads.ends[:_SPATIAL_FROM]
    constant = pads.mode == "constant" and min(pads.flat, default=0) >= 0
    return constant and not any(outside) and len(pads.begins) > _SPATIAL_FROM


def _fold(pad: ir.Node, pads: Pads) -> None:
    (padded,) = pad.outputs
    for node, index in tuple(padded.uses()):
        joined = _joined(node, pads)
        folds = _FOLDS.get(node.op_type) if not node.domain and index == 0 else None
        if folds is None or joined is None or not folds(node, pads, joined):
            continue
        node.attributes["pads"] = ir.AttrInt64s("pads", joined)
        node.attributes.pop("auto_pad", None)
        if node.op_type == "AveragePool":
            node.attributes["count_include_pad"] = ir.AttrInt64("count_include_pad", 1)
        node.replace_input_with(0, pad.inputs[0])
    if not padded.uses() and not padded.is_graph_output() and pad.graph is not None:
        pad.graph.remove(pad, safe=True)


def _joined(node: ir.Node, pads: Pads) -> list[int] | None:
    """Pads of a reader that pads by itself; None if its own are automatic."""
    mode = node.attributes.get_string("auto_pad", "NOTSET")
    if mode not in {"NOTSET", "VALID"}:
        return None
    added = [*pads.begins[_SPATIAL_FROM:], *pads.ends[_SPATIAL_FROM:]]
    own = _own_pads(node) or [0] * len(added)
    return [a + b for a, b in zip(own, added, strict=True)]


def _own_pads(node: ir.Node) -> list[int]:
    if node.attributes.get_string("auto_pad", "NOTSET") == "VALID":
        return []
    return list(node.attributes.get_ints("pads", ()))


def _convolves(node: ir.Node, pads: Pads, joined: list[int]) -> bool:
    """Case 1."""
    del node, joined
    return pads.value == 0


def _averages(node: ir.Node, pads: Pads, joined: list[int]) -> bool:
    """Case 2: unless its own padding does not count."""
    if node.graph is None or node.graph.opset_imports[""] < _COUNTS_SINCE:
        return False
    counts = node.attributes.get_int("count_include_pad", 0) == 1
    return pads.value == 0 and (counts or not any(_own_pads(node))) and _pools(node, joined)


def _maximises(node: ir.Node, pads: Pads, joined: list[int]) -> bool:
    """Case 3: unless the places of its maxima are read, which count from the first cell."""
    alone = all(not output.uses() for output in node.outputs[1:])
    return pads.value <= _LOWEST and alone and _pools(node, joined)


def _pools(node: ir.Node, joined: list[int]) -> bool:
    """Whether a pool of these pads is one that ONNX Runtime takes."""
    kernel = list(node.attributes.get_ints("kernel_shape", ())) * 2
    narrow = all(pad < size for pad, size in zip(joined, kernel, strict=True))
    return narrow and not node.attributes.get_int("ceil_mode", 0)


_FOLDS: Mapping[str, Callable[[ir.Node, Pads, list[int]], bool]] = MappingProxyType(
    {"Conv": _convolves, "AveragePool": _averages, "MaxPool": _maximises}
)
