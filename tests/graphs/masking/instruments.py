"""Looks into rewritten models: their masks, poison in their hidden cells, their heads alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from heatproof.graphs.masking.masks.pyramid import Pyramid
from heatproof.graphs.masking.rewriting import Rewrite
from heatproof.graphs.masking.states import Mask, Spatial, State
from heatproof.graphs.operators.emitter import Emitter

GARBAGE_INPUT = "garbage"
"""The number that the hidden cells of an instrumented model hold, float32 of rank 0."""

# The rewrite gives its own versions of a tensor these endings.
_ENDINGS = ("", "_unmasked", "_unguarded", "_of_model", "_visible")


@dataclass(frozen=True)
class Exit:
    """Where image content leaves the spatial domain on its way to an output.

    Attributes:
        value: the tensor of the plain model.
        mask: its mask.
        readers: the nodes, and places among their inputs, that lead out; none: it is an output.
    """

    value: ir.Value
    mask: Mask
    readers: tuple[tuple[ir.Node, int], ...]


def state_of(value: ir.Value | None, states: Mapping[str, State]) -> State | None:
    """The state of a tensor of the plain model; None if it does not derive from the image."""
    names = [] if value is None else [f"{value.name}{ending}" for ending in _ENDINGS]
    return next((states[name] for name in names if name in states), None)


def exits(plain: ir.Graph, states: Mapping[str, State]) -> list[Exit]:
    """Found from the outputs backwards; gates that rejoin a spatial tensor are never met."""
    readers: dict[ir.Value, list[tuple[ir.Node, int]]] = {}
    waiting, seen = list(plain.outputs), set[ir.Value]()
    assert any(state_of(value, states) for value in waiting), "no output has a state"
    for value in waiting:
        if isinstance(state_of(value, states), Spatial):
            readers[value] = []
    while waiting:
        value = waiting.pop()
        node = value.producer()
        if value in seen or value in readers or node is None or state_of(value, states) is None:
            continue
        seen.add(value)
        for index, operand in enumerate(node.inputs):
            if operand is None:
                continue
            if isinstance(state_of(operand, states), Spatial):
                readers.setdefault(operand, []).append((node, index))
            else:
                waiting.append(operand)
    assert readers, "no output follows from a tensor with a mask"
    return [Exit(value, _mask_of(value, states), tuple(uses)) for value, uses in readers.items()]


def _mask_of(value: ir.Value, states: Mapping[str, State]) -> Mask:
    state = state_of(value, states)
    assert isinstance(state, Spatial)
    return state.mask


def cut_at(plain: ir.Model, places: list[Exit]) -> None:
    """Feeds the head of a plain model zeros, in place, where the exits are."""
    op = Emitter(plain.graph)
    never = op.constant(np.array(False))
    for place in places:
        zero = op.scalar(0, place.value.dtype)
        op.before(place.readers[0][0] if place.readers else None)
        zeros = op("Where", never, place.value, zero, like=place.value)
        for node, index in place.readers:
            node.replace_input_with(index, zeros)
        if not place.readers:
            outputs = plain.graph.outputs
            outputs[outputs.index(place.value)] = zeros
            place.value.name, zeros.name = zeros.name, place.value.name
    plain.graph.sort()


def masks_of(rewrite: Rewrite) -> list[Mask]:
    """The distinct masks of all spatial tensors."""
    spatial = (state for state in rewrite.states.values() if isinstance(state, Spatial))
    return list(dict.fromkeys(state.mask for state in spatial))


def instrument(rewrite: Rewrite) -> None:
    """Changes a rewritten model in place: `GARBAGE_INPUT` fills its hidden cells, masks come out.

    The image itself stays as it is: what lies under its mask is the caller's to choose.
    """
    graph = rewrite.model.graph
    garbage = ir.val(GARBAGE_INPUT, ir.DataType.FLOAT, ir.Shape(()))
    op = Emitter(graph)
    masks = Pyramid(op, graph.inputs[0].shape[0] if graph.inputs[0].shape else None)
    for value, state in list(_poisoned(rewrite)):
        _poison(value, state, garbage, op, masks)
    graph.inputs.append(garbage)
    shown = {mask.value: None for mask in masks_of(rewrite)}
    graph.outputs.extend(value for value in shown if value not in graph.outputs)
    graph.sort()


def _poisoned(rewrite: Rewrite) -> Iterator[tuple[ir.Value, Spatial]]:
    values = {value.name: value for node in rewrite.model.graph for value in node.outputs}
    entry = f"{rewrite.model.graph.inputs[0].name}_visible"
    for name, state in rewrite.states.items():
        if isinstance(state, Spatial) and name in values and name != entry:
            yield values[name], state


def _poison(
    value: ir.Value, state: Spatial, garbage: ir.Value, op: Emitter, masks: Pyramid
) -> None:
    """Lets all readers of a tensor read garbage in its hidden cells."""
    uses = list(value.uses())
    visible = masks.view(state.mask, state.axes, ir.DataType.BOOL)
    dtype = value.dtype or ir.DataType.FLOAT
    spoilt = op("Cast", garbage, like=garbage, dtype=dtype, to=dtype.value)
    name = f"{value.name}_spoilt"
    if dtype == ir.DataType.BOOL:  # of which ONNX Runtime has no Where
        hidden = op("Not", visible, like=visible)
        poisoned = op("Or", value, hidden, like=value, name=name)
    else:
        poisoned = op("Where", visible, value, spoilt, like=value, name=name)
    for node, index in uses:
        node.replace_input_with(index, poisoned)
