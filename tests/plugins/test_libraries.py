"""Maps of Captum, pytorch-grad-cam and torch-cam beside Heatproof's, and data sets of MAITE."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from captum.attr import IntegratedGradients, LayerGradCam, NoiseTunnel, Saliency
from maite.protocols import image_classification
from pytorch_grad_cam import GradCAM
from torchcam import methods

from heatproof.client import Client, LabelledImages
from heatproof.client.adapters import captum_maps, grad_cam_maps, maite_maps, torchcam_maps
from heatproof.client.documents.results.inputs import ModelInputs
from tests.plugins.networks import CLASSES, EXAMPLE, IMAGENET, OPENCV, Network, photographs

# torch's and the libraries' own
pytestmark = pytest.mark.filterwarnings("ignore")

Maps = Callable[[Network, ModelInputs], list[np.ndarray]]

PEERS: dict[str, tuple[str, Maps]] = {
    "captum_saliency": (
        "saliency",
        lambda module, inputs: captum_maps(module, Saliency, inputs, channels="largest"),
    ),
    "captum_integrated_gradients": (
        "integrated_gradients:steps=32",
        lambda module, inputs: captum_maps(
            module, IntegratedGradients, inputs, n_steps=32, method="riemann_middle"
        ),
    ),
    "captum_grad_cam": (
        "grad_cam",
        lambda module, inputs: captum_maps(
            module,
            lambda model: LayerGradCam(model, model.module.second_relu),
            inputs,
            relu_attributions=True,
        ),
    ),
    "torchcam_grad_cam": (
        "grad_cam",
        lambda module, inputs: torchcam_maps(module, methods.GradCAM, inputs, module.second_relu),
    ),
    "pytorch_grad_cam": (
        "grad_cam",
        lambda module, inputs: grad_cam_maps(module, GradCAM, inputs, [module.second_relu]),
    ),
}
"""Heatproof's explainer, and what makes the same maps by another library."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client.embedded(Path(tmp_path_factory.mktemp("data"))) as client:
        yield client


def unit(values: np.ndarray) -> np.ndarray:
    """Scaled to [0, 1], as pytorch-grad-cam gives its maps."""
    lifted = values - values.min()
    return lifted / lifted.max()


@pytest.mark.parametrize("preprocessing", [IMAGENET, OPENCV], ids=["imagenet", "opencv"])
@pytest.mark.parametrize("name", PEERS)
def test_another_library_s_maps_score_as_heatproof_s(
    client: Client, name: str, preprocessing: dict[str, Any]
) -> None:
    explainer, made = PEERS[name]
    module, images = Network(), photographs()
    asked: dict[str, Any] = {"preprocessing": preprocessing, "example": EXAMPLE}
    own = client.explain(module, images, explainers=explainer, **asked)
    maps = made(module, client.model_inputs(module, images, **asked))
    report = client.evaluate(
        module,
        images,
        metrics=["deletion:grid=8", "insertion:grid=8", "sparseness"],
        removals="black",
        explainers=explainer,
        maps={name: maps},
        **asked,
    )

    for mine, theirs in zip(own, maps, strict=True):
        # Sums in single precision; pytorch-grad-cam stretches 16 x 16 cells by OpenCV.
        np.testing.assert_allclose(unit(theirs), unit(mine.values), atol=2e-4)
    scores: dict[str, list[float]] = {}
    for result in report.results:
        scores.setdefault(result.metric.WhichOneof("metric"), []).append(result.summary.value)
    assert {metric: len(pair) for metric, pair in scores.items()} == {
        "deletion": 2,
        "insertion": 2,
        "sparseness": 2,
    }
    for one, other in scores.values():
        assert one == pytest.approx(other, abs=1e-3)


def test_a_method_around_a_method_makes_maps(client: Client) -> None:
    module, images = Network(), photographs(2)
    inputs = client.model_inputs(module, images, preprocessing=IMAGENET, example=EXAMPLE)
    maps = captum_maps(
        module, lambda model: NoiseTunnel(Saliency(model)), inputs, nt_samples=4, stdevs=0.1
    )
    assert [one.shape for one in maps] == [(32, 32), (32, 32)]


class DataSet:
    """A data set by the protocol of MAITE."""

    metadata = {"id": "pictures"}  # noqa: RUF012  # as the protocol has it

    def __len__(self) -> int:
        return 3

    def __getitem__(self, ind: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        image = photographs(3)[ind].transpose(2, 0, 1)
        return image, np.eye(CLASSES)[(4, 0, 2)[ind]], {"id": ind}


def test_a_data_set_of_maite_gives_images_and_labels() -> None:
    source: image_classification.Dataset = DataSet()
    held = LabelledImages.of(source, layout="CHW")  # type: ignore[arg-type]  # has no iterator

    assert held.labels == [4, 0, 2]
    for image, expected in zip(held.images, photographs(3), strict=True):
        np.testing.assert_array_equal(image, expected)


def test_generators_are_given_a_model_of_maite(client: Client) -> None:
    module, seen = Network(), []
    inputs = client.model_inputs(module, photographs(1), preprocessing=IMAGENET, example=EXAMPLE)

    def generate(model: image_classification.Model, image: np.ndarray) -> np.ndarray:
        seen.append((isinstance(model, image_classification.Model), model([image])[0]))
        return np.ones((CLASSES, 32, 32)) * np.arange(CLASSES)[:, None, None]

    (made,) = maite_maps(module, generate, inputs)
    ((is_model, probabilities),) = seen
    assert is_model
    assert probabilities.sum() == pytest.approx(1)
    assert int(probabilities.argmax()) == inputs.classes[0]
    assert (made == inputs.classes[0]).all()
