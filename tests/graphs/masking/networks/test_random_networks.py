"""Random networks obey the laws, agree with the paper's table, and are differentiated right.

The default profile is the same run each time. `make hunt` looks for new failures.
"""

import os
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, note, reject, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from heatproof.graphs.gradients import differentiated
from heatproof.graphs.masking import MaskingOptions, Mode
from heatproof.graphs.preparation import prepared
from tests.graphs.masking.laws import CHECKS, Laws
from tests.graphs.masking.networks.further_blocks import FURTHER_BLOCKS, FURTHER_HEADS
from tests.graphs.masking.networks.growing import BLOCKS, HEADS, Network, masks, networks
from tests.graphs.masking.networks.torch_reading import NotReadError, deviation
from tests.graphs.operators.torch_operators import UnreadError, as_tensor, evaluate
from tests.graphs.sessions import opened

Array = NDArray[Any]

HUNT = int(os.environ.get("HUNT", "0"))
"""Examples per test in a hunt, which starts anew each time; 0: the short run, always the same."""

PROFILE = settings(
    max_examples=HUNT or 100,
    derandomize=not HUNT,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    print_blob=bool(HUNT),
)

pytestmark = pytest.mark.timeout(0 if HUNT else 300)

LAW_TOLERANCE = 1e-5
"""Of the largest element: sums over few cells cancel, and reciprocals enlarge what remains."""

DOUBLE_TOLERANCE = 1e-4
"""Single against double precision, through the same reciprocals and roots."""

ROUNDING = 1e-6
"""Single precision in numbers of order 1, over some terms."""

LARGEST = 1e4
"""Of a network's answers; beyond it nothing but rounding would be compared."""


PAPERS = networks(BLOCKS, HEADS)
"""Networks of the operators that the paper's table covers, and of pointwise ones."""

ALL = networks([*BLOCKS, *FURTHER_BLOCKS], [*HEADS, *FURTHER_HEADS])


def images_of(network: Network) -> Array:
    shape = network.model.graph.inputs[0].shape
    assert shape is not None
    dims = [3, *(int(dim) for dim in shape[1:])]  # type: ignore[arg-type] # static
    return np.random.default_rng(0).standard_normal(dims).astype(np.float32)


def plain(network: Network, images: Array) -> dict[str, Array]:
    """The original's answer; networks that ONNX Runtime refuses or that overflow do not count."""
    try:
        results = opened(network.model)(image=images)
    except Exception as error:  # noqa: BLE001 # ONNX Runtime has many
        note(f"not a network: {error}")
        reject()
    if not all(np.isfinite(a).all() and np.abs(a).max() < LARGEST for a in results.values()):
        reject()
    return results


@PROFILE
@given(network=ALL, data=st.data(), mode=st.sampled_from(list(Mode)))
def test_laws(network: Network, data: st.DataObject, mode: Mode) -> None:
    images = images_of(network)
    plain(network, images)
    shown = data.draw(masks(images.shape[2:]))
    laws = Laws(
        network.model,
        MaskingOptions(mode=mode),
        images=images,
        masks=shown,
        tolerance=LAW_TOLERANCE,
    )
    for name, check in CHECKS.items():
        if name != "masks":  # random windows may show or hide everything
            check(laws)


@PROFILE
@given(network=PAPERS, data=st.data(), mode=st.sampled_from(list(Mode)))
def test_masked_results(network: Network, data: st.DataObject, mode: Mode) -> None:
    images = images_of(network)
    plain(network, images)
    shown = data.draw(masks(images.shape[2:]))
    try:
        error = deviation(network.model, images, shown, MaskingOptions(mode=mode))
    except NotReadError:
        reject()
    assert error <= DOUBLE_TOLERANCE


@PROFILE
@given(network=ALL)
def test_gradients(network: Network) -> None:
    images = images_of(network)
    y = plain(network, images)
    (name, first), *_ = y.items()
    vector = np.random.default_rng(1).standard_normal(first.shape).astype(np.float32)
    leaf = as_tensor(images).requires_grad_()
    try:
        tensor = evaluate(prepared(network.model), {"image": leaf})[name]
    except UnreadError:
        reject()
    scale = np.abs(first).max()
    atol = DOUBLE_TOLERANCE * scale + ROUNDING
    np.testing.assert_allclose(first, tensor.detach().numpy(), rtol=0, atol=atol)
    (expected,) = torch.autograd.grad(tensor, leaf, as_tensor(vector))
    found = opened(differentiated(network.model, of=name))(image=images, output_gradient=vector)
    error = np.linalg.norm(found["input_gradient"] - expected.numpy())
    # A saturated softmax cancels down to the rounding of 1.
    most = DOUBLE_TOLERANCE * float(expected.norm()) + ROUNDING * np.linalg.norm(vector)
    assert error <= most
