"""Maps that a method of torch makes of the pixels that the server gives a model."""

from typing import Any

import numpy as np
import pytest
import torch

from heatproof.client import AsyncClient, Client, UsageError
from heatproof.client.adapters import captum_maps, maite_maps
from heatproof.client.adapters.maite import MaiteClassifier
from tests.plugins.networks import EXAMPLE, IMAGENET, OPENCV, SIDE, Network, photographs
from tests.system.serving import Served

# torch's own
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)

QUESTION: dict[str, Any] = {"metrics": "deletion:grid=8", "removals": "black", "example": EXAMPLE}


class Gradient:
    """The gradient of a logit by the pixels, with the interface of Captum."""

    def __init__(self, classifier: torch.nn.Module) -> None:
        self.classifier = classifier

    def attribute(self, inputs: torch.Tensor, *, target: int) -> torch.Tensor:
        inputs = inputs.requires_grad_()
        (found,) = torch.autograd.grad(self.classifier(inputs)[0, target], inputs)
        return found


def scores(report: Any) -> list[float]:
    return [result.summary.value for result in report.results]


@pytest.mark.parametrize("preprocessing", [IMAGENET, OPENCV], ids=["imagenet", "opencv"])
def test_gradients_of_another_library_are_those_of_heatproof(
    served: Served, preprocessing: dict[str, Any]
) -> None:
    module, images = Network().train(), photographs()
    module.pool.eval()
    with Client.connect(served.address) as client:
        asked: dict[str, Any] = {"preprocessing": preprocessing, "example": EXAMPLE}
        own = client.explain(module, images, explainers="saliency", **asked)
        inputs = client.model_inputs(module, images, **asked)
        maps = captum_maps(module, Gradient, inputs, channels="largest")
        report = client.evaluate(
            module,
            images,
            preprocessing=preprocessing,
            explainers="saliency",
            maps={"gradient": maps},
            **QUESTION,
        )

    assert (module.training, module.first.training, module.pool.training) == (True, True, False)
    assert inputs.names == tuple(one.image for one in own)
    assert inputs.classes == tuple(one.prediction.target for one in own)
    assert all(pixels.shape == (3, SIDE, SIDE) for pixels in inputs.pixels)
    for mine, theirs in zip(own, maps, strict=True):
        scale = mine.values.max()
        np.testing.assert_allclose(theirs / scale, mine.values / scale, atol=1e-4)  # single sums
    found = scores(report)
    assert len(found) == 2
    assert found[0] == pytest.approx(found[1], abs=1e-4)
    assert 0.01 < found[0] < 0.99


def test_inputs_are_of_the_class_that_is_asked_for(served: Served) -> None:
    asked: dict[str, Any] = {"preprocessing": IMAGENET, "example": EXAMPLE}
    with Client.connect(served.address) as client:
        labelled = client.model_inputs(
            Network(), photographs(2), labels=[3, 1], target="label", **asked
        )
        contrast = client.model_inputs(Network(), photographs(1), target="contrast:1,2", **asked)

    assert labelled.classes == (3, 1)
    assert list(labelled.preprocessing.std) == [0.229, 0.224, 0.225]
    assert (labelled.preprocessing.height, labelled.preprocessing.width) == (SIDE, SIDE)
    with pytest.raises(UsageError, match="more than one class"):
        captum_maps(Network(), Gradient, contrast)


async def test_a_coroutine_gives_the_same_inputs(served: Served) -> None:
    asked: dict[str, Any] = {"preprocessing": IMAGENET, "example": EXAMPLE}
    async with AsyncClient.connect(served.address) as client:
        inputs = await client.model_inputs(Network(), photographs(1), **asked)
        (found,) = await client.explain(
            Network(), photographs(1), explainers="centre", input_pixels=True, **asked
        )
    np.testing.assert_array_equal(inputs.pixels[0], found.input_pixels)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_pixels_are_exact(served: Served, kind: type) -> None:
    picture = photographs(1)[0][:SIDE, :SIDE]
    values = picture / np.float32(255)
    given = picture if kind is np.uint8 else values**2  # which bytes do not hold
    with Client.connect(served.address) as client:
        inputs = client.model_inputs(
            Network(), [given], preprocessing={"resize": "none"}, example=EXAMPLE
        )
    expected = values if kind is np.uint8 else given
    np.testing.assert_array_equal(inputs.pixels[0], expected.transpose(2, 0, 1))


def test_pixels_of_a_large_input_fit_a_reply(served: Served) -> None:
    side = 640
    large = np.zeros((side, side, 3), np.uint8)
    with Client.connect(served.address) as client:
        inputs = client.model_inputs(
            Network(),
            [large],
            preprocessing={"resize": "none"},
            example=torch.zeros(1, 3, side, side),
        )
    assert inputs.pixels[0].shape == (3, side, side)


def test_pixels_come_only_if_asked_for(served: Served) -> None:
    with Client.connect(served.address) as client:
        (found,) = client.explain(
            Network(), photographs(1), explainers="centre", preprocessing=IMAGENET, example=EXAMPLE
        )
    assert found.input_pixels is None
    assert found.preprocessing.crop_fraction == 0.875


def occluded(model: MaiteClassifier, image: np.ndarray) -> np.ndarray:
    """How much each class loses when a black square of 8 x 8 hides a place."""
    (clean,) = model([image])
    found = np.zeros((len(clean), SIDE, SIDE))
    for row in range(0, SIDE, 8):
        for column in range(0, SIDE, 8):
            hidden = image.copy()
            hidden[:, row : row + 8, column : column + 8] = 0
            (seen,) = model([torch.from_numpy(hidden)])
            found[:, row : row + 8, column : column + 8] = (clean - seen)[:, None, None]
    return found


def test_a_generator_that_asks_a_model_of_maite_gives_the_maps_of_occlusion(
    served: Served,
) -> None:
    module, images = Network(), photographs(2)
    asked: dict[str, Any] = {"preprocessing": IMAGENET, "example": EXAMPLE}
    with Client.connect(served.address) as client:
        own = client.explain(
            module,
            images,
            explainers={"occlusion": {"patch": 8, "stride": 8, "removal": {"black": {}}}},
            **asked,
        )
        maps = maite_maps(module, occluded, client.model_inputs(module, images, **asked))

    for mine, theirs in zip(own, maps, strict=True):
        np.testing.assert_allclose(theirs, mine.values, atol=1e-5)  # single precision


def test_a_generator_must_give_a_map_of_the_class(served: Served) -> None:
    module = Network()
    with Client.connect(served.address) as client:
        inputs = client.model_inputs(
            module, photographs(1), preprocessing=IMAGENET, example=EXAMPLE
        )
    with pytest.raises(UsageError, match=r"\[classes, height, width\] .* not \[32, 32\]"):
        maite_maps(module, lambda _, image: image[0], inputs)
    with pytest.raises(UsageError, match="unknown channels 'mean'"):
        captum_maps(module, Gradient, inputs, channels="mean")  # type: ignore[arg-type]
