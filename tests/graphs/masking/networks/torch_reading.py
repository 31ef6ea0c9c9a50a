"""Layer masking as the paper applies it: after every layer, on the plain graph, in torch.

An oracle for whole networks that shares nothing with the rewrite: no pyramid, no masks saved by
argument, no fusions, double precision. A mask has the rank of its tensor, with size 1 wherever an
axis is not spatial, so that it moves along with the tensor; so has the map of the cells that hold
some part of the image, which the others, the border, do not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from heatproof.graphs.masking import (
    ConcatVote,
    Fill,
    GlobalPool,
    MaskingOptions,
    Mode,
    layer_masked,
)
from heatproof.graphs.preparation import prepared
from tests.graphs.operators.torch_operators import applied, as_tensor, constants, geometry, reduced
from tests.graphs.sessions import opened


@dataclass(frozen=True)
class Seen:
    """A tensor with zeros in its hidden cells.

    Attributes:
        x: the tensor.
        mask: 1 where visible; None without spatial axes.
        image: 1 where cells hold some part of the image; None likewise.
        shares: visible shares of the masks at which its information left the spatial domain.
        parts: of a concatenation, what it joins.
    """

    x: Tensor
    mask: Tensor | None = None
    image: Tensor | None = None
    shares: tuple[Tensor, ...] = ()
    parts: tuple["Seen", ...] = ()


class NotReadError(KeyError):
    """The paper's table and this reading do not cover an operator."""


def read(
    model: ir.Model, image: np.ndarray, mask: np.ndarray, options: MaskingOptions
) -> dict[str, np.ndarray]:
    """The outputs of a model without functions, and `mask_coverage`.

    Raises:
        NotReadError: a node has no reading.
    """
    seen = {name: Seen(tensor) for name, tensor in constants(model.graph).items()}
    visible = as_tensor(mask).double()
    entered = torch.where(visible == 1, as_tensor(image), torch.zeros(()).double())
    seen[model.graph.inputs[0].name or ""] = Seen(entered, visible, torch.ones_like(visible))
    for node in model.graph:
        operands = [seen[one.name or ""] for one in node.inputs if one is not None]
        outcome = _layer(node, operands, options)
        seen |= {value.name or "": one for value, one in zip(node.outputs, outcome, strict=True)}
    outputs = {value.name or "": seen[value.name or ""] for value in model.graph.outputs}
    shares = [share for one in outputs.values() for share in (one.shares or _left(one))]
    coverage = torch.stack(shares).amin(0)
    found = {name: one.x for name, one in outputs.items()} | {"mask_coverage": coverage}
    return {name: tensor.numpy() for name, tensor in found.items()}


def deviation(
    model: ir.Model, image: np.ndarray, mask: np.ndarray, options: MaskingOptions
) -> float:
    """How far the rewritten model is from its reading, relative to the largest element.

    The largest over all outputs and the coverage.
    """
    expected = read(prepared(model), image, mask, options)
    feeds = {model.graph.inputs[0].name or "": image, "mask": mask}
    results = opened(layer_masked(model, options))(**feeds)
    return max(
        float(np.abs(results[name] - array).max() / np.abs(array).max(initial=1e-6))
        for name, array in expected.items()
    )


def _layer(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> tuple[Seen, ...]:
    spatial = [one for one in operands if one.mask is not None]
    try:
        if spatial and node.op_type in LAYERS:
            outcome = LAYERS[node.op_type](node, operands, options)
            return outcome if isinstance(outcome, tuple) else (outcome,)
        results = applied(node, [one.x for one in operands])
    except KeyError as error:
        raise NotReadError(node.op_type) from error
    if not spatial:
        shares = tuple(share for one in operands for share in one.shares)
        return tuple(Seen(x, shares=shares) for x in results)
    if node.op_type not in POINTWISE:
        raise NotReadError(node.op_type)
    masks, images = _stacked(spatial)
    return tuple(_hidden(x, masks.amin(0), images.amax(0)) for x in results)


def _stacked(spatial: Sequence[Seen]) -> tuple[Tensor, Tensor]:
    """Masks, and maps of the image, of several tensors."""
    masks, images = zip(*map(_maps, spatial), strict=True)
    return tuple(torch.stack(torch.broadcast_tensors(*maps)) for maps in (masks, images))  # type: ignore[return-value] # two


def _hidden(x: Tensor, mask: Tensor, image: Tensor) -> Seen:
    return Seen(torch.where(mask == 1, x, torch.zeros(()).double()), mask, image)


def _left(one: Seen) -> tuple[Tensor, ...]:
    if one.mask is None or one.image is None:
        return ()
    return ((one.mask * one.image).flatten(1).sum(1) / one.image.flatten(1).sum(1),)


def _maps(one: Seen) -> tuple[Tensor, Tensor]:
    if one.mask is None or one.image is None:
        raise NotReadError("an operand without a mask")
    return one.mask, one.image


def filled(one: Seen, rounds: int) -> Tensor:
    """Neighbour padding; the border takes no part in it."""
    mask, image = _maps(one)

    def boxes(cells: Tensor) -> Tensor:
        return 9 * F.avg_pool2d(cells, 3, 1, 1)

    x, known = one.x * image, mask * image
    for _ in range(rounds):
        if bool((known == image).all()):
            break
        x = x + (image - known) * boxes(x) / (boxes(known) + 1e-5)
        known = (known + boxes(known)).clamp(0, 1) * image
    return torch.where(image == 1, x, one.x)


def slid(node: ir.Node, one: Seen, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The window rule, and which windows hold some part of the image."""
    mask, image = _maps(one)
    shown, held = (
        (cells * inside).amax((-1, -2)) > 0
        for cells, inside in (geometry(node, x, weights).windows(x) for x in (mask * image, image))
    )
    return (shown | ~held).double(), held.double()


def _convolution(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    one, weights = operands[0], operands[1].x
    height, width = weights.shape[2:]
    everything = sum(one.x.shape[2:])
    rounds = width if options.mode is Mode.REFERENCE else everything
    if options.fill is Fill.PARTIAL:
        return _hidden(_partial(node, operands), *slid(node, one, weights))
    fills = options.fill is Fill.NEIGHBOUR and (height, width) != (1, 1)
    x = filled(one, rounds) if fills else one.x
    (y,) = applied(node, [x, *(other.x for other in operands[1:])])
    return _hidden(y, *slid(node, one, weights))


def _partial(node: ir.Node, operands: list[Seen]) -> Tensor:
    """Partial convolution: sums over windows, scaled by their cells over the visible ones."""
    one, weights = operands[0], operands[1].x
    (y,) = applied(node, [one.x, weights])
    mask, image = _maps(one)
    every, seen = (
        inside.expand(cells.shape).mul(cells).sum((-1, -2))
        for cells, inside in (geometry(node, m, weights).windows(m) for m in (image, mask * image))
    )
    y = y * torch.where(seen > 0, every / seen, 1)
    return y + operands[2].x[:, None, None] if len(operands) > 2 else y


def _max_pool(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    one, mask = operands[0], _maps(operands[0])[0]
    x = one.x if options.mode is Mode.REFERENCE else torch.where(mask == 1, one.x, -torch.inf)
    (y,) = applied(node, [x])
    return _hidden(y, *slid(node, one))


def _average_pool(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    one, mask = operands[0], _maps(operands[0])[0]
    window = geometry(node, one.x)
    if window.kernel == one.x.shape[2:] and window.target == (1, 1) and not any(window.begins):
        return _mean(one, [2, 3], options, keeps=True)
    (y,) = applied(node, [one.x])
    if options.mode is Mode.STRICT:
        (ones,), (seen,) = applied(node, [torch.ones_like(mask)]), applied(node, [mask])
        y = torch.where(seen > 0, y * ones / seen, 0)
    return _hidden(y, *slid(node, one))


def _mean(one: Seen, axes: list[int], options: MaskingOptions, *, keeps: bool) -> Seen:
    mask, _ = _maps(one)
    mean, share = (tensor.mean(axes, keepdim=keeps) for tensor in (one.x, mask))
    plain = options.global_pool is GlobalPool.PLAIN
    return Seen(mean if plain else mean / (share + 1e-8), shares=_left(one))


def _global_mean(_: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    return _mean(operands[0], [2, 3], options, keeps=True)


def _global_maximum(_: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    one, mask = operands[0], _maps(operands[0])[0]
    x = one.x if options.mode is Mode.REFERENCE else torch.where(mask == 1, one.x, -torch.inf)
    most = x.amax((2, 3), keepdim=True)
    return Seen(torch.where(most == -torch.inf, 0, most), shares=_left(one))


def _reduction(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    one, mask = operands[0], _maps(operands[0])[0]
    axes, keeps = reduced(node, operands[1].x if len(operands) > 1 else None)
    rank = one.x.dim()
    gone = {axis % rank for axis in axes}
    spatial = {axis for axis in range(1, rank) if mask.shape[axis] > 1}
    if not spatial & gone:
        (y,) = applied(node, [other.x for other in operands])
        return _hidden(y, *(m if keeps else m.squeeze(sorted(gone)) for m in _maps(one)))
    if spatial <= gone and node.op_type == "ReduceMean":
        return _mean(one, axes, options, keeps=keeps)
    raise NotReadError(node.op_type)


def _concatenation(node: ir.Node, operands: list[Seen], options: MaskingOptions) -> Seen:
    parts = tuple(leaf for one in operands for leaf in (one.parts or (one,)))
    votes, images = _stacked([part for part in parts if part.mask is not None])
    total = votes.sum(0)
    least = {
        ConcatVote.MAJORITY: len(votes) / 2,
        ConcatVote.UNION: 0,
        ConcatVote.INTERSECTION: len(votes) - 1,
    }[options.concat]
    (y,) = applied(node, [part.x for part in parts])
    return replace(_hidden(y, (total > least).double(), images.amax(0)), parts=parts)


def _split(node: ir.Node, operands: list[Seen], _: MaskingOptions) -> tuple[Seen, ...]:
    parts = applied(node, [one.x for one in operands])
    return tuple(Seen(part, *_maps(operands[0])) for part in parts)


def _transposition(node: ir.Node, operands: list[Seen], _: MaskingOptions) -> Seen:
    one = operands[0]
    x, mask, image = (applied(node, [tensor])[0] for tensor in (one.x, *_maps(one)))
    return Seen(x, mask, image)


def _reshape(node: ir.Node, operands: list[Seen], _: MaskingOptions) -> Seen:
    """Keeps the last two axes, or leaves the spatial domain."""
    one, mask = operands[0], _maps(operands[0])[0]
    (y,) = applied(node, [other.x for other in operands])
    if y.dim() == 2:
        return Seen(y, shares=_left(one))
    if y.shape[-2:] != mask.shape[-2:]:
        raise NotReadError(node.op_type)
    ones = [1] * (y.dim() - 3)
    mask, image = (m.reshape(len(m), *ones, *m.shape[-2:]) for m in _maps(one))
    return Seen(y, mask, image)


Layer = Callable[[ir.Node, list[Seen], MaskingOptions], Seen | tuple[Seen, ...]]

LAYERS: dict[str, Layer] = {
    "AveragePool": _average_pool,
    "Concat": _concatenation,
    "Conv": _convolution,
    "Flatten": _reshape,
    "GlobalAveragePool": _global_mean,
    "GlobalMaxPool": _global_maximum,
    "MaxPool": _max_pool,
    "ReduceMax": _reduction,
    "ReduceMean": _reduction,
    "Reshape": _reshape,
    "Split": _split,
    "Transpose": _transposition,
}

POINTWISE = frozenset(
    """Abs Add BatchNormalization Ceil Celu Clip Cos Div Elu Erf Exp Floor Gelu HardSigmoid
    HardSwish LRN LeakyRelu Log Max Min Mish Mul Neg PRelu Pow Reciprocal Relu Round Selu Sigmoid
    Sign Sin Softplus Softsign Sqrt Sub Sum Tanh ThresholdedRelu""".split()  # noqa: SIM905 # forty lines
)
