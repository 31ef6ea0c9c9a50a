"""What torch is given to run beside Heatproof: the same network, and the published algorithm."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime as ort
import torch

from benchmarks.networks import small
from benchmarks.peers.layer_masked import LayerMasked, filled
from benchmarks.peers.replayed import Replayed
from heatproof.graphs.files.saving import to_bytes
from heatproof.graphs.masking import layer_masked

ROOT = Path(__file__).parents[2]


def answered(model: ir.Model, feeds: dict[str, np.ndarray]) -> np.ndarray:
    return ort.InferenceSession(to_bytes(model)).run(None, feeds)[0]


def images() -> np.ndarray:
    return np.random.default_rng(0).random((2, 3, 224, 224), np.float32)


def test_a_replayed_network_answers_as_its_file_does() -> None:
    model = small()
    with torch.no_grad():
        found = Replayed(model)(torch.from_numpy(images())).numpy()

    np.testing.assert_allclose(found, answered(model, {"image": images()}), rtol=1e-4, atol=1e-4)


def test_the_published_masking_answers_as_the_rewritten_file_does() -> None:
    model, masks = small(), np.ones((2, 1, 224, 224), np.float32)
    masks[0, :, :, 100:] = 0
    masks[1, :, 32:180, 40:] = 0
    with torch.no_grad():
        found = LayerMasked(model).masked(torch.from_numpy(images()), torch.from_numpy(masks))
    ours = answered(layer_masked(model), {"image": images(), "mask": masks})

    np.testing.assert_allclose(found.numpy(), ours, rtol=1e-4, atol=1e-4)
    assert np.abs(ours - answered(model, {"image": images()})).max() > 0.01


def test_hidden_cells_take_the_mean_of_their_visible_neighbours() -> None:
    values = torch.tensor([[[[2.0, 9.0, 9.0, 9.0], [4.0, 9.0, 9.0, 9.0]]]])
    mask = torch.tensor([[[[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]]])

    found = filled(values, mask, rounds=2).numpy()[0, 0]

    np.testing.assert_allclose(found, [[2, 3, 3, 0], [4, 3, 3, 0]], rtol=1e-4)


def test_the_libraries_are_those_whose_agreement_is_shown() -> None:
    agreed = (ROOT / "tests/peers/requirements.txt").read_text().split()
    timed = (ROOT / "benchmarks/peers/requirements.txt").read_text().split()

    assert set(timed) < set(agreed)
