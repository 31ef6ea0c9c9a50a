"""Convolutions without a fill, and partial ones, on single operators and their borders."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import Fill, MaskingOptions, Mode, layer_masked
from tests.graphs.masking.laws import Laws
from tests.graphs.sessions import opened

ABLATIONS = [Fill.NONE, Fill.PARTIAL]
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((2, 3, 9, 8)).astype(np.float32)
MASKS = (RNG.random((2, 1, 9, 8)) < 0.4).astype(np.float32)
WEIGHTS = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)


def listed(array: np.ndarray) -> str:
    return "{" + ", ".join(map(str, array.ravel().tolist())) + "}"


def network(nodes: str) -> ir.Model:
    return ir.from_onnx_text(
        f"""<ir_version: 9, opset_import: ["": 17]>
        g (float[2, 3, 9, 8] image) => (float[2, c, h, v] y)
        <float[4, 3, 3, 3] w = {listed(WEIGHTS)},
         float[3, 4, 3, 3] t = {listed(WEIGHTS.swapaxes(0, 1))},
         float[4] b = {listed(BIAS)}> {{ {nodes} }}"""
    )


def shown(nodes: str, fill: Fill) -> np.ndarray:
    model = layer_masked(network(nodes), MaskingOptions(fill=fill))
    return opened(model)(image=IMAGES, mask=MASKS)["y"]


def torch_tensors() -> list[torch.Tensor]:
    arrays = (IMAGES, MASKS, WEIGHTS, BIAS)
    return [torch.from_numpy(array).double() for array in arrays]


def partial(x: torch.Tensor, m: torch.Tensor, slide: Callable[..., torch.Tensor]) -> torch.Tensor:
    """`slide(tensor, is_mask)`; without a bias."""
    seen, every = slide(m, True), slide(torch.ones_like(m), True)
    sums = slide(x * m, False)
    return torch.where(seen > 0, sums * every / seen.clamp(min=1), sums)


GEOMETRIES: dict[str, dict[str, Any]] = {
    "": {},
    "pads = [1, 1, 1, 1]": {"padding": 1},
    "pads = [2, 2, 2, 2], dilations = [2, 2], strides = [2, 2]": {
        "padding": 2, "dilation": 2, "stride": 2,
    },
}  # fmt: skip


@pytest.mark.parametrize("fill", ABLATIONS)
@pytest.mark.parametrize("attributes", GEOMETRIES)
def test_convolutions_are_those_of_torch(attributes: str, fill: Fill) -> None:
    x, m, w, b = torch_tensors()
    options = GEOMETRIES[attributes]

    def slide(tensor: torch.Tensor, is_mask: bool) -> torch.Tensor:
        return F.conv2d(tensor, torch.ones(1, 1, 3, 3).double() if is_mask else w, **options)

    sums = partial(x, m, slide) if fill is Fill.PARTIAL else slide(x * m, is_mask=False)
    visible = slide(m, is_mask=True) > 0
    expected = (sums + b[:, None, None]) * visible
    found = shown(f"y = Conv <{attributes}> (image, w, b)".replace(" <>", ""), fill)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)  # sums of 27 in float32


@pytest.mark.parametrize("fill", ABLATIONS)
def test_transposed_convolutions_are_those_of_torch(fill: Fill) -> None:
    x, m, w, b = torch_tensors()
    kernel = w.swapaxes(0, 1)

    def slide(tensor: torch.Tensor, is_mask: bool) -> torch.Tensor:
        ones = torch.ones(1, 1, 3, 3).double()
        return F.conv_transpose2d(tensor, ones if is_mask else kernel, stride=2, padding=1)

    sums = partial(x, m, slide) if fill is Fill.PARTIAL else slide(x * m, is_mask=False)
    expected = (sums + b[:, None, None]) * (slide(m, is_mask=True) > 0)
    found = shown("y = ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1]> (image, t, b)", fill)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)  # as above


@pytest.mark.parametrize("fill", ABLATIONS)
def test_a_pad_in_front_is_the_convolutions_own(fill: Fill) -> None:
    apart = """p = Pad (image, pads) r = Relu (p) n = Neg (p) s = Sub (r, n)
        y = Conv (s, w, b)""".replace("pads", "k")
    apart = f"k = Constant <value_ints = [0, 0, 1, 1, 0, 0, 1, 1]> () {apart}"
    own = """r = Relu (image) n = Neg (image) s = Sub (r, n)
        y = Conv <pads = [1, 1, 1, 1]> (s, w, b)"""
    np.testing.assert_allclose(shown(apart, fill), shown(own, fill), atol=1e-5)  # as above


@pytest.mark.parametrize("fill", ABLATIONS)
@pytest.mark.parametrize(
    "nodes",
    [
        """s = Constant <value_floats = [1.0, 1.0, 2.0, 2.0]> ()
        r = Resize <mode = "linear"> (image, , s) y = Conv (r, w, b)""",
        "t4 = ConvTranspose <strides = [2, 2]> (image, t, b) y = Relu (t4)",
        'p = AveragePool <kernel_shape = [2, 2]> (image) y = Conv <auto_pad = "SAME_UPPER"> (p, w)',
    ],
    ids=["Resize", "ConvTranspose", "SAME_UPPER"],
)
def test_further_readers_of_neighbours_obey_the_laws(nodes: str, fill: Fill) -> None:
    Laws(network(nodes), MaskingOptions(fill=fill)).check()


def test_fills_differ() -> None:
    nodes = "y = Conv <pads = [1, 1, 1, 1]> (image, w, b)"
    found = [shown(nodes, fill) for fill in Fill]
    assert all(np.abs(a - b).max() > 0.1 for a, b in itertools.pairwise(found))


@pytest.mark.parametrize("fill", ABLATIONS)
def test_gradients_are_those_of_torch(fill: Fill) -> None:
    x, m, w, _ = torch_tensors()
    x.requires_grad_()

    def slide(tensor: torch.Tensor, is_mask: bool) -> torch.Tensor:
        kernel = torch.ones(1, 1, 3, 3).double() if is_mask else w
        return F.conv2d(tensor, kernel, padding=1)

    sums = partial(x, m, slide) if fill is Fill.PARTIAL else slide(x * m, is_mask=False)
    visible = slide(m, is_mask=True) > 0
    (expected,) = torch.autograd.grad((sums * visible).sum(), x)
    nodes = "y = Conv <pads = [1, 1, 1, 1]> (image, w, b)"
    masked = layer_masked(network(nodes), MaskingOptions(fill=fill))
    run = opened(differentiated(masked, of="y"))
    ones = np.ones((2, 4, 9, 8), np.float32)
    found = run(image=IMAGES, mask=MASKS, output_gradient=ones)["input_gradient"]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)  # sums of 36 times up to 9


@pytest.mark.parametrize("fill", ABLATIONS)
def test_strict_excludes_other_fills(fill: Fill) -> None:
    with pytest.raises(InvalidArgumentError, match="use mode reference") as caught:
        MaskingOptions(mode=Mode.STRICT, fill=fill)
    assert caught.value.field == "fill"
