"""Changes the weights of some layers at random: the models of sanity checks for explanations.

Drawn anew as published by Adebayo et al. 2018 (arXiv 1810.03292), who initialize layers anew;
initializers are not in an ONNX file, so that each tensor keeps its own mean and standard deviation
here (ours). Or multiplied by noise, as published by Hedström et al. 2025 (TMLR, openreview
ukLxqA8zXj).
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common

from heatproof.evaluators.errors import UnknownNameError
from heatproof.evaluators.queries.passes import WeightNoise
from heatproof.graphs.nodes.captures import values_read
from heatproof.graphs.nodes.constants import constant_operand, replace_operand
from heatproof.graphs.nodes.surroundings import is_surrounding
from heatproof.graphs.operators.families import (
    AFFINE_NORMALIZATIONS,
    ARITHMETIC,
    CONVOLUTIONS,
    PRODUCTS,
)

_FUSED = "com.microsoft"

_PARAMETERS: Mapping[tuple[str, str], tuple[int, ...]] = MappingProxyType(
    {
        **dict.fromkeys([*(("", name) for name in CONVOLUTIONS), (_FUSED, "FusedConv")], (1, 2)),
        ("", "DeformConv"): (1, 3),
        **{("", name): (0, 1, 2) for name in PRODUCTS},
        (_FUSED, "FusedMatMul"): (0, 1),
        **{("", name): (1, 2) for name in AFFINE_NORMALIZATIONS},
        **dict.fromkeys([("", "RMSNormalization"), ("", "PRelu")], (1,)),
    }
)
"""Operands that hold weights where they are constant; running statistics are none."""

_SCALES_AND_BIASES = frozenset(ARITHMETIC) - {"PRelu"}


def layers_of(model: ir.Model) -> tuple[str, ...]:
    """Names of the nodes with weights, in the order of the graph.

    Layers are convolutions, matrix products, normalizations and PRelu with constant weights, and
    behind the first of them products and sums with a constant vector, as which exporters write
    scales and biases. What was put around the network counts as none of it.

    Args:
        model: a prepared model, whose nodes have unique names.
    """
    return tuple(name for name, _ in _layers(model.graph))


def randomized(
    model: ir.Model, layers: Sequence[str], seed: int, noise: WeightNoise | None = None
) -> ir.Model:
    """Returns a copy of a model in which the weights of layers are changed at random.

    Each weight, bias and parameter of a normalization comes from a normal distribution with the
    mean and the (population) standard deviation of the tensor, or is multiplied by a factor of its
    own from one with mean 1; both in its element type. Running statistics of batch normalizations
    stay. What is drawn for a layer depends on seed, noise and its name alone; layers that share a
    tensor get one each. Quantized weights become floating ones.

    Args:
        model: a prepared model; not changed, and weights that stay are shared with it.
        layers: names out of `layers_of`, in any order.
        seed: of the draws.
        noise: what multiplies the weights; None to draw them anew.

    Raises:
        UnknownNameError: the model has no such layer; offers the nearest name.
    """
    copy = model.clone()
    known = dict(_layers(copy.graph))
    for name in dict.fromkeys(layers):
        if name not in known:
            raise UnknownNameError.among("layer", name, known)
        rng = _generator(seed, name, noise)
        for index, weights in _weights(known[name]):
            drawn = _drawn(weights, rng) if noise is None else _noised(weights, rng, noise)
            replace_operand(known[name], index, drawn)
    common.RemoveUnusedNodesPass()(copy)  # the trained weights, which nobody reads any more
    return copy


def _layers(graph: ir.Graph) -> Iterator[tuple[str, ir.Node]]:
    behind: set[ir.Value] = set()
    for node in graph:
        is_behind = not behind.isdisjoint(values_read(node))
        is_layer = not is_surrounding(node) and (is_behind or not _only_scales(node))
        if is_layer and any(_weights(node)):
            yield node.name or "", node
            is_behind = True
        if is_behind:
            behind.update(node.outputs)


def _only_scales(node: ir.Node) -> bool:
    return node.domain == "" and node.op_type in _SCALES_AND_BIASES


def _weights(node: ir.Node) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Places and values of the tensors that are drawn anew with a node."""
    scales = _only_scales(node)
    places = (0, 1) if scales else _PARAMETERS.get((node.domain, node.op_type), ())
    for index in places:
        array = _stored(node, index)
        if array is not None and (not scales or _is_vector(array)):
            yield index, array


def _stored(node: ir.Node, index: int) -> NDArray[np.generic] | None:
    """A floating constant that a node reads, dequantized if it is stored in integers."""
    array = constant_operand(node, index)
    if array is None and index < len(node.inputs):
        operand = node.inputs[index]
        array = None if operand is None else _dequantized(operand.producer())
    floats = array is not None and _dtype(array).is_floating_point()
    return array if floats else None


def _dtype(array: NDArray[np.generic]) -> ir.DataType:
    return ir.DataType.from_numpy(array.dtype)


def _dequantized(node: ir.Node | None) -> NDArray[np.generic] | None:
    """(x - zero point) . scale of constants, along one axis or for the whole tensor."""
    if node is None or node.op_type != "DequantizeLinear":
        return None
    blocks = node.attributes.get_int("block_size", 0)
    stored, scale, zero = (constant_operand(node, index) for index in range(3))
    if blocks or stored is None or scale is None:
        return None
    shape = [1] * stored.ndim
    if scale.size > 1:
        shape[node.attributes.get_int("axis", 1)] = scale.size
    offset = np.zeros(1) if zero is None else zero.astype(np.float64)
    centred = stored.astype(np.float64) - offset.reshape(shape)
    return (centred * scale.astype(np.float64).reshape(shape)).astype(scale.dtype)


def _is_vector(array: NDArray[np.generic]) -> bool:
    """Whether a constant holds one number a channel: numbers along a single axis."""
    return array.size > 1 and array.size == max(array.shape)


def _drawn(weights: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    numbers = weights.astype(np.float64)
    return rng.normal(numbers.mean(), numbers.std(), weights.shape).astype(weights.dtype)


def _noised(
    weights: NDArray[np.generic], rng: np.random.Generator, noise: WeightNoise
) -> NDArray[np.generic]:
    factors = rng.normal(1.0, noise.deviation, weights.shape)
    with np.errstate(over="ignore"):  # what overflows is infinite, and then so are the answers
        return (weights.astype(np.float64) * factors).astype(weights.dtype)


def _generator(seed: int, layer: str, noise: WeightNoise | None) -> np.random.Generator:
    purpose = "weights" if noise is None else f"weight-noise/{noise.deviation!r}/{noise.draw}"
    text = f"heatproof/{purpose}/{seed}/{layer}".encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text).digest(), "big"))
