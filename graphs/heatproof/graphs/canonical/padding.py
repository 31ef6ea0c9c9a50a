"""Folds Pad into the convolutions that read it."""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from heatproof.graphs.constants import constant_operand

_SPATIAL_FROM = 2  # axes 0 and 1 are batch and channels


def fold_pads(model: ir.Model) -> None:
    """Conv(Pad(x, zeros)) = Conv(x) with larger pads, in place.

    1. The Pad is constant zero, static, non-negative and over spatial axes only.
    2. Every reader is a Conv of explicit pads (auto_pad NOTSET or VALID).
    3. Anything else stays as it is.
    """
    for node in list(model.graph):
        if node.op_type == "Pad" and node.domain == "":
            pads = _zero_pads(node)
            if pads is not None and _all_convolutions(node.outputs[0]):
                _fold(node, pads)


def _zero_pads(node: ir.Node) -> list[int] | None:
    """Resolved pads [begins, ends] over all axes when case 1 holds."""
    if node.attributes.get_string("mode", "constant") != "constant":
        return None
    if "pads" in node.attributes:
        pads = list(node.attributes["pads"].as_ints())
        fill = node.attributes.get_float("value", 0.0)
    else:
        found = _inputs_of(node)
        if found is None:
            return None
        pads, fill = found
    begins, ends = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    outside = begins[:_SPATIAL_FROM] + ends[:_SPATIAL_FROM]
    sound = fill == 0 and min(pads, default=0) >= 0 and not any(outside)
    return pads if sound and len(begins) > _SPATIAL_FROM else None


def _inputs_of(node: ir.Node) -> tuple[list[int], float] | None:
    x = node.inputs[0]
    pads, value, axes = (constant_operand(node, index) for index in (1, 2, 3))
    given = [operand for operand in node.inputs[1:] if operand is not None]
    known = [array for array in (pads, value, axes) if array is not None]
    if x is None or x.shape is None or pads is None or len(given) != len(known):
        return None
    rank = x.shape.rank()
    full = np.zeros((2, rank), np.int64)
    over = np.arange(rank) if axes is None else axes.astype(np.int64) % rank
    full[:, over] = pads.reshape(2, -1)
    return full.reshape(-1).tolist(), 0.0 if value is None else float(value.reshape(-1)[0])


def _all_convolutions(padded: ir.Value) -> bool:
    if padded.is_graph_output():
        return False
    return all(
        node.op_type == "Conv"
        and node.domain == ""
        and index == 0
        and node.attributes.get_string("auto_pad", "NOTSET") in {"NOTSET", "VALID"}
        for node, index in padded.uses()
    )


def _fold(pad: ir.Node, pads: Sequence[int]) -> None:
    rank = len(pads) // 2
    added = [*pads[_SPATIAL_FROM:rank], *pads[rank + _SPATIAL_FROM :]]
    for node, _ in tuple(pad.outputs[0].uses()):
        own = [0] * len(added)
        if node.attributes.get_string("auto_pad", "NOTSET") == "NOTSET":
            own = list(node.attributes.get_ints("pads", own))
        node.attributes["pads"] = ir.AttrInt64s(
            "pads", [a + b for a, b in zip(own, added, strict=True)]
        )
        node.attributes.pop("auto_pad", None)
        node.replace_input_with(0, pad.inputs[0])
    if pad.graph is not None:
        pad.graph.remove(pad, safe=True)
