"""What the coverage table says of one exported network."""

import copy
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from heatproof.graphs.gradients import differentiated, gradient_blockers
from heatproof.graphs.gradients.differentiation import INPUT_GRADIENT, OUTPUT_GRADIENT
from heatproof.graphs.heads.signature import find_image_input
from heatproof.graphs.inspection.inspecting import inspect
from heatproof.graphs.masking import MaskingOptions, Mode
from heatproof.graphs.masking.rewriting import rewritten
from heatproof.graphs.nodes.blockers import Blocker
from heatproof.graphs.preparation import prepared
from tests.graphs.masking.laws import CHECKS, BrokenLawError, Laws, random_images
from tests.graphs.sessions import opened
from tests.graphs.zoo.boxes import Telling, telling_masks
from tests.graphs.zoo.exporting import INPUT, OUTPUT

Array = NDArray[Any]

ROUNDING = 1e-4
"""Of the largest logit: float32 over up to some hundred layers, summed in another order."""

HALF_ROUNDING = 5e-2
"""Likewise of float16, which ONNX Runtime's kernels round to at other places than torch."""

GRADIENT_LIMIT = 1e-3
"""Of the norm of the input's gradient, in float32."""

FOLDED_LIMIT = 1e-2
"""Of a float16 file with its numbers in float32: what the exporter folded was rounded once more."""

DRAWS = 5

TIMES_TORCH = 3
"""How much further from float64 than torch itself, where that is off by more than the limit."""

TELLING = 0.1
"""Where torch itself is off by more in float32, an image does not tell a right gradient."""

DIFFERENCE = 1e-6
"""Step of finite differences in float64, in pixels of unit variance."""

SLOPE_ROUNDING = 5e-2
"""Of a slope by finite differences, which cross kinks; asked only where autograd is off."""


class Verdict(StrEnum):
    """Whether a rewrite of one file does what it promises.

    HOLDS: yes. DUE: it refuses learned mixing of positions, as it must, and names the node.
    REFUSED: it names a node without a rule. BROKEN: it breaks a law, deviates from autograd, or
    fails in another way.
    """

    HOLDS = "holds"
    DUE = "due"
    REFUSED = "refused"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check.

    Attributes:
        verdict: see there.
        error: the worst relative error; 0 unless the rewrite ran.
        reason: why it does not hold.
    """

    verdict: Verdict
    error: float = 0.0
    reason: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do."""
        return self.verdict in {Verdict.HOLDS, Verdict.DUE}

    def __str__(self) -> str:
        return f"{self.verdict} {self.reason or format(self.error, '.0e')}"


def masking(model: ir.Model, network: nn.Module) -> Finding:
    """The five laws of layer masking, in both modes.

    A deep network of random weights amplifies rounding: law 1 allows what the plain model, or torch
    in float32, is off by from the float64 network, three times, where that is more than usual.
    """
    rewrite = rewritten(model, MaskingOptions())
    if rewrite.blockers:
        return Finding(Verdict.REFUSED, reason=_named(rewrite.blockers[0]))
    image = find_image_input(model)
    assert image.height is not None
    images = random_images(image, seed=0)
    telling = telling_masks(rewrite, image.height, len(images))
    rounding = HALF_ROUNDING if images.dtype == np.float16 else ROUNDING
    rounding = max(rounding, TIMES_TORCH * _rounded(model, network, images))
    worst = 0.0
    for mode in Mode:
        options = MaskingOptions(mode)
        laws = Laws(model, options, images=images, masks=telling.masks, tolerance=rounding)
        for name, check in CHECKS.items():
            if name != "masks" or not telling.blind:
                check(laws)
        worst = max(worst, laws.rounding)
    return Finding(Verdict.HOLDS, worst, _unseen(telling))


def _rounded(model: ir.Model, network: nn.Module, images: Array) -> float:
    """What the plain model is off by, or torch in float32 if that is more, of its largest logit."""
    found = [opened(model, checked=False)(**{INPUT: images})[OUTPUT]]
    with torch.no_grad():
        exact: Array = network(torch.tensor(images, dtype=torch.float64)).numpy()
        if images.dtype == np.float32:
            found.append(copy.deepcopy(network).float()(torch.tensor(images)).numpy())
    return float(max(np.abs(one - exact).max() for one in found) / np.abs(exact).max())


def _unseen(telling: Telling) -> str:
    if not telling.blind:
        return ""
    return f"{telling.blind} of {telling.maps} masks hide nothing, whatever box is visible"


def refusal(model: ir.Model) -> Finding:
    """That inspection names the node for which masking is refused, its operator and a reason."""
    support = inspect(model).layer_masking
    if support.supported:
        return Finding(Verdict.BROKEN, reason="it mixes positions, yet masking is not refused")
    first = support.blockers[0]
    if not (first.node and first.operator and first.reason):
        return Finding(Verdict.BROKEN, reason=f"refused without a name: {first}")
    return Finding(Verdict.DUE, reason=_named(first))


def gradients(model: ir.Model, network: nn.Module) -> Finding:
    """The gradient of the logits at the image along a random vector, against torch's autograd.

    The network is a float64 one. A float16 model is held to it with its numbers in float32, which
    tells whether the rules are right; as it is it must be finite.
    """
    blockers = gradient_blockers(model)
    if blockers:
        return Finding(Verdict.REFUSED, reason=_named(blockers[0]))
    if find_image_input(model).dtype is not ir.DataType.FLOAT16:
        return _agreement(model, network, GRADIENT_LIMIT)
    half = copy.deepcopy(network).to(torch.float16)  # some networks keep what autograd made
    found = _agreement(in_float32(model), network, FOLDED_LIMIT)
    if found.verdict is Verdict.HOLDS:
        return _in_float16(model, network, half)
    noise = _half_noise(model, network, half)
    if noise > TELLING:
        reason = f"no image can tell: torch in float16 is itself off by {noise:.0e}"
        return Finding(Verdict.HOLDS, found.error, reason)
    if found.error < TIMES_TORCH * noise:
        return _in_float16(model, network, half)
    return replace(found, reason=f"in float32 it {found.reason}")


def _in_float16(model: ir.Model, network: nn.Module, half: nn.Module) -> Finding:
    """That a float16 gradient whose rules are right is finite, and how far off its precision is."""
    images, vector = _drawn(model, 0)
    run = opened(differentiated(model))
    found = run(**{INPUT: images, OUTPUT_GRADIENT: vector})[INPUT_GRADIENT]
    error = _distances(found, _autograd(network, images, vector, torch.float64)).max()
    if np.isfinite(found).all():
        return Finding(Verdict.HOLDS, float(error))
    if np.isfinite(_autograd(half, images, vector, torch.float16)).all():
        return Finding(Verdict.BROKEN, reason="it overflows in float16, and torch's does not")
    return Finding(Verdict.HOLDS, 0.0, "float16 overflows, in torch as well")


def _drawn(model: ir.Model, seed: int) -> tuple[Array, Array]:
    """Images, and a vector of their logits."""
    images = random_images(find_image_input(model), seed)
    vector = np.random.default_rng(seed).standard_normal((len(images), _classes(model)))
    return images, vector.astype(images.dtype)


def _agreement(model: ir.Model, network: nn.Module, limit: float) -> Finding:
    """Compares a float32 model with torch in float64 and in float32.

    Of up to millions of activations some lie so close to a kink that rounding takes the other side,
    which costs up to 1e-2 in float32, in torch as well; a faulty rule is off at every image. So
    each row of the batch has several images to show that it is right, and at each where torch in
    float32 is off by less than `TELLING` may be off by a little more.
    """
    run = opened(differentiated(model))
    rounded = copy.deepcopy(network).to(torch.float32)
    best: Array = np.array(np.inf)
    right: NDArray[np.bool_] = np.array(False)
    for seed in range(DRAWS):
        images, vector = _drawn(model, seed)
        found = run(**{INPUT: images, OUTPUT_GRADIENT: vector})[INPUT_GRADIENT]
        exact = _autograd(network, images, vector, torch.float64)
        errors = _distances(found, exact)
        best = np.fmin(best, errors)
        right = right | (errors < limit)
        if not right.all():
            rounding = _distances(_autograd(rounded, images, vector, torch.float32), exact)
            right = right | ((errors < TIMES_TORCH * rounding) & (rounding < TELLING))
        if right.all():
            return Finding(Verdict.HOLDS, float(best.max()))
    worst = float(best.max())
    slope, ours, theirs = _slopes(network, images, vector, (found, exact))
    usual = float(np.linalg.norm(found.astype(np.float64)))  # of a slope along such a direction
    if abs(ours - slope) < SLOPE_ROUNDING * usual < abs(theirs - slope):
        return Finding(Verdict.HOLDS, 0.0, "agrees with finite differences, as autograd does not")
    return Finding(Verdict.BROKEN, worst, f"deviates from autograd by {worst:.0e}")


def _half_noise(model: ir.Model, network: nn.Module, half: nn.Module) -> float:
    """What torch in float16 is off by at the image where it is off by least."""
    least = np.inf
    for seed in range(DRAWS):
        images, vector = _drawn(model, seed)
        exact = _autograd(network, images, vector, torch.float64)
        errors = _distances(_autograd(half, images, vector, torch.float16), exact)
        least = np.fmin(least, float(errors.max()))
    return float(least)


def in_float32(model: ir.Model) -> ir.Model:
    """A prepared copy in which what is float16 is float32; numbers keep their values."""
    copy = prepared(model)
    for value in _values(copy.graph):
        if value.dtype is ir.DataType.FLOAT16:
            value.type = ir.TensorType(ir.DataType.FLOAT)  # types are shared with the model
        if _is_half(value.const_value):
            value.const_value = _single(value.const_value)
    for node in ir.traversal.RecursiveGraphIterator(copy.graph):
        for name, attribute in tuple(node.attributes.items()):
            if name in ("to", "dtype") and attribute.value == ir.DataType.FLOAT16:
                node.attributes[name] = ir.AttrInt64(name, ir.DataType.FLOAT)
            elif _is_half(attribute.value):
                node.attributes[name] = ir.AttrTensor(name, _single(attribute.value))
    return copy


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    for one in (graph, *graph.subgraphs()):
        yield from (*one.inputs, *one.initializers.values())
    for node in graph.all_nodes():
        yield from node.outputs


def _is_half(value: object) -> TypeGuard[ir.TensorProtocol]:
    return isinstance(value, ir.TensorProtocol) and value.dtype is ir.DataType.FLOAT16


def _single(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy().astype(np.float32), name=tensor.name)


def _slopes(
    network: nn.Module, images: Array, vector: Array, gradients: tuple[Array, Array]
) -> tuple[float, float, float]:
    """The slope along a random direction by float64 differences, and what gradients say of it."""
    direction = np.random.default_rng(DRAWS).standard_normal(images.shape)
    step = DIFFERENCE * torch.tensor(direction)
    centre, weights = torch.tensor(images.astype(np.float64)), torch.tensor(vector.astype(float))
    with torch.no_grad():
        rise = (network(centre + step) - network(centre - step)) / (2 * DIFFERENCE)
    ours, theirs = (float((one * direction).sum()) for one in gradients)
    return float((rise * weights).sum()), ours, theirs


def _autograd(network: nn.Module, images: Array, vector: Array, dtype: torch.dtype) -> Array:
    """A single row is given twice: for some, torch's own gradients of BatchNorm are wrong."""
    times = 2 if len(images) == 1 else 1
    leaf = torch.tensor(np.concatenate(times * [images]), dtype=dtype, requires_grad=True)
    weights = torch.tensor(np.concatenate(times * [vector]), dtype=dtype)
    (gradient,) = torch.autograd.grad(network(leaf), leaf, weights)
    found: Array = gradient[: len(images)].double().numpy()
    return found


def _classes(model: ir.Model) -> int:
    (output,) = (value for value in model.graph.outputs if value.name == OUTPUT)
    assert output.shape is not None
    classes = output.shape[1]
    assert isinstance(classes, int)
    return classes


def _distances(found: Array, expected: Array) -> Array:
    """Relative errors, one a row of the batch."""
    axes = tuple(range(1, expected.ndim))
    errors: Array = np.square(found.astype(np.float64) - expected).sum(axes)
    relative: Array = np.sqrt(errors / np.square(expected).sum(axes))
    return relative


def _named(blocker: Blocker) -> str:
    return f"{blocker.operator} ({blocker.node}): {blocker.reason}"


def unloadable(path: Path) -> str:
    """Why ONNX Runtime does not load what torch wrote; "" if it does."""
    try:
        ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - its classes have no common one of their own
        return failure(error).reason
    return ""


def failure(error: Exception) -> Finding:
    """What was raised, and where unless the message says all."""
    text = (str(error).strip() or "no message").splitlines()[0][:300]
    if isinstance(error, BrokenLawError):
        return Finding(Verdict.BROKEN, reason=text)
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    return Finding(Verdict.BROKEN, reason=f"{type(error).__name__} at {place}: {text}")
