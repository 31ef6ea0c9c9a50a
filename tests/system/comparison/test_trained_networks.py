"""The networks of examples/comparing_models are what the example says of them."""

import numpy as np
import onnxruntime as ort
import pytest
import torch
from scipy import stats

from examples.comparing_models.compare import NETWORKS, Panel, results
from examples.comparing_models.networks import INPUT, MIXES, network, tensor
from examples.comparing_models.planted import SCALE
from examples.shapes import CLASSES, shapes
from heatproof.client import Client

PANELS = 3
CHOSEN = [0, 1, 2, 3, 12, 13, 14, 15]
"""Networks of a panel that were trained plainly, and by CutMix."""
BATCH = 16


def accuracy(name: str, bias: float) -> float:
    """Of a written network in bare ONNX Runtime."""
    data = shapes(200, bias, seed=77, scale=SCALE)
    session = ort.InferenceSession(NETWORKS / f"{name}.onnx")
    (logits,) = session.run(None, {"image": tensor(data.images).numpy()})
    return float((np.asarray(logits).argmax(1) == data.labels).mean())


def test_networks_are_small_and_complete() -> None:
    files = sorted(NETWORKS.iterdir())
    sizes = [path.stat().st_size for path in files]
    panels = [Panel.of(seed) for seed in range(PANELS)]
    expected = {path for panel in panels for path in panel.files}
    assert set(files) == expected | {NETWORKS / f"background-{seed}.onnx" for seed in range(PANELS)}
    assert max(sizes) < 200_000
    assert sum(sizes) < 2_000_000


@pytest.mark.parametrize("seed", range(PANELS))
def test_panels_read_the_patch_and_background_readers_do_not(seed: int) -> None:
    for name in Panel.of(seed).names:
        assert accuracy(name, bias=0) > 0.95
    assert accuracy(f"background-{seed}", bias=1) > 0.95
    assert accuracy(f"background-{seed}", bias=0) < 0.4


def test_a_displacement_moves_the_features_and_not_the_answers() -> None:
    one, other = network(0).eval(), network(3).eval()
    other.load_state_dict(one.state_dict())
    images = tensor(shapes(BATCH, 0, seed=5, scale=SCALE).images)
    with torch.no_grad():
        torch.testing.assert_close(one(images), other(images), atol=1e-5, rtol=0)
        still, moved = (model[:-3](images).numpy() for model in (one, other))
    assert np.array_equal(np.roll(still, (3, 3), (2, 3)), moved)
    assert not np.array_equal(still, moved)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    data = shapes(BATCH, 0, seed=6, scale=SCALE)
    classes = torch.nn.functional.one_hot(torch.from_numpy(data.labels), CLASSES).float()
    return tensor(data.images), classes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["mixup", "cutmix"])
def test_classes_are_mixed_by_what_is_left_of_the_image(name: str, seed: int) -> None:
    """Each image is its own mark, so that the mixed batch tells what came from where."""
    marks = torch.eye(BATCH)
    images = marks[:, :3].reshape(BATCH, 3, 1, 1).expand(-1, -1, INPUT, INPUT).clone()
    mixed, shares = MIXES[name](images, marks, np.random.default_rng(seed))
    np.testing.assert_allclose(mixed.mean((2, 3)), shares[:, :3], atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    if name == "cutmix":
        assert set(mixed.unique().tolist()) <= {0.0, 1.0}


def test_cutout_greys_whole_squares_and_keeps_classes() -> None:
    images, classes = batch()
    cut, kept = MIXES["cutout"](images, classes, np.random.default_rng(0))
    assert torch.equal(kept, classes)
    hidden = (cut != images).any(1).reshape(BATCH, 4, 16, 4, 16).float().mean((2, 4))
    assert 0.3 < (hidden > 0.9).float().mean() < 0.7
    assert ((hidden == 0) | (hidden > 0.9)).all()
    assert (cut[(cut != images)] == 0.5).all()


def test_maps_leave_the_object_by_the_planted_distance(client: Client) -> None:
    """Share of the map on the object's own pixels, which the data set knows."""
    data = shapes(6, 0, seed=8, scale=SCALE)
    panel = Panel.of(0)
    shares = []
    for place in CHOSEN:
        maps = client.explain(
            panel.files[place],
            list(data.images),
            preprocessing="unit",
            explainers=["grad_cam"],
            labels=data.labels.tolist(),
            target="label",
        )
        on = [
            one.values[mask].sum() / one.values.sum()
            for one, mask in zip(maps, data.masks, strict=True)
        ]
        shares.append(np.mean(on))
    assert stats.spearmanr(panel.quality[CHOSEN], shares).statistic > 0.9
    for one in np.reshape(shares, (2, -1)):
        assert (np.diff(one) < 0).all()


def test_trained_networks_are_ranked_by_planted_quality(client: Client) -> None:
    panel, data = Panel.of(0), shapes(4, 0, seed=9, scale=SCALE)
    curves = {"grid": 8, "steps": 8}
    report = client.evaluate(
        [panel.files[place] for place in CHOSEN],
        list(data.images),
        preprocessing="unit",
        metrics=[{"occlusion_corrected_deletion": curves}, {"inter_model_deletion": curves}],
        explainers=["grad_cam"],
        removals=["mean"],
        labels=data.labels.tolist(),
        target="label",
    )
    (across,) = results(report, "inter_model_deletion")
    found = [across.parts[f"quality[{place}]"].value for place in range(len(CHOSEN))]
    assert stats.spearmanr(panel.quality[CHOSEN], found).statistic > 0.9
    assert min(found[0], found[4]) > 0.8  # all but the oracle's order
    assert max(found[3], found[7]) < 0.6
    assert abs(across.parts["quality[random]"].value) < 0.3
    own = [one.summary.value for one in results(report, "occlusion_corrected_deletion")]
    assert stats.spearmanr(panel.quality[CHOSEN], own).statistic > 0.8
