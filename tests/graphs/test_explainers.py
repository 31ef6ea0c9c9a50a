"""Explainers on networks in ONNX Runtime, against torch's autograd and passes."""

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from heatproof.evaluators.explainers import (
    AblationCam,
    EigenCam,
    Explainer,
    GradCam,
    GradCamPlusPlus,
    GuidedBackprop,
    HiresCam,
    LayerCam,
    Saliency,
    ScoreCam,
    SmoothGrad,
    XgradCam,
)
from heatproof.evaluators.images.frames import stretched
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.outcomes import Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.queries.passes import BackwardRules, Capability, ModelPass
from heatproof.evaluators.queries.procedure import LazyImage, MaskedView, predict
from heatproof.evaluators.queries.sample import Sample
from heatproof.evaluators.queries.targets import FixedClass
from heatproof.graphs.canonical import canonicalize
from heatproof.graphs.predictor import GraphPredictor
from heatproof.graphs.runtime.backends.settings import SessionSettings
from heatproof.graphs.runtime.cancellation import Cancellation
from heatproof.graphs.runtime.sessions import SessionCache
from tests.evaluators.toys import run_one

SIDE = 16
CLASSES = 5
Array = np.ndarray[Any, Any]


class Network(nn.Module):
    """Convolutions, and a head that is no global mean; channels may lie last."""

    def __init__(self, *, last: bool, activation: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.last = last
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1), activation(), nn.Conv2d(8, 6, 3, 2, 1), activation()
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 9), activation(),
            nn.Linear(9, CLASSES),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.head(self.body(x.permute(0, 3, 1, 2) if self.last else x))
        return found


@dataclass(frozen=True)
class Pair:
    """A network in torch, in float64 with its channels first, and in ONNX Runtime."""

    network: Network
    predictor: GraphPredictor
    tolerance: float

    def tensor(self, image: Array) -> tuple[torch.Tensor, torch.Tensor]:
        """The last activation, and the logit of class 2 as a function of it."""
        with torch.no_grad():
            activation = self.network.body(torch.tensor(image[None], dtype=torch.float64))
        leaf = activation.requires_grad_()
        return leaf, self.network.head(leaf)[0, 2]

    def logit(self, image: Array) -> float:
        with torch.no_grad():
            return float(self.network(torch.tensor(image[None], dtype=torch.float64))[0, 2])


def exported(network: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> ir.Model:
    target = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            network, (torch.zeros(2, *shape, dtype=dtype),), target, dynamo=False, verbose=False,
            input_names=["image"], output_names=["logits"],
            dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
        )  # fmt: skip
    return ir.from_proto(onnx.load_from_string(target.getvalue()))


def predictor_of(model: ir.Model) -> GraphPredictor:
    return GraphPredictor(
        canonicalize(model, PRESETS["unit"]),
        SessionCache(1 << 30, SessionSettings()),
        model="models/net",
        batch_size=4,
        cancellation=Cancellation(),
    )


FORMS = {
    "channels first": (False, torch.float32, 1e-5),
    "channels last": (True, torch.float32, 1e-5),
    # Rounds to 5e-4; what a weight is summed of partly cancels.
    "float16": (False, torch.float16, 2e-2),
}


@pytest.fixture(scope="module", params=FORMS)
def pair(request: pytest.FixtureRequest) -> Pair:
    last, dtype, tolerance = FORMS[request.param]
    network = Network(last=last).eval().to(dtype)
    shape = (SIDE, SIDE, 3) if last else (3, SIDE, SIDE)
    predictor = predictor_of(exported(network, shape, dtype))
    first = Network(last=False)
    first.load_state_dict(network.state_dict())
    return Pair(first.eval().double(), predictor, tolerance)


@pytest.fixture
def image() -> Array:
    # Few different levels, so that float16 holds them.
    return (np.random.default_rng(1).integers(0, 65, (3, SIDE, SIDE)) / 64).astype(np.float32)


def explained(explainer: Explainer, predictor: GraphPredictor, image: Array) -> Array:
    batcher = Batcher(predictor)
    explainer.check(predictor.facts)
    for run in explainer.passes(predictor.facts):
        assert predictor.facts.supports(run) is None
    pixels = LazyImage.of(image)
    clean = run_one(predict(MaskedView(pixels, ModelPass("models/net"))), batcher)
    sample = Sample(predictor.facts, pixels, "ab" * 32, 0, FixedClass(2), clean)
    before = batcher.rows_done
    found = run_one(explainer.explain(sample), batcher)
    assert not isinstance(found, Undefined)
    assert batcher.rows_done - before == explainer.cost(predictor.facts)
    return found


def close(found: Array, coarse: Array, tolerance: float) -> None:
    expected = stretched(np.maximum(coarse.astype(np.float64), 0), SIDE, SIDE)
    assert expected.max() > 0
    assert np.abs(found - expected).max() <= tolerance * expected.max()


def weights_of(activation: Array, gradient: Array) -> dict[type[Explainer], Array]:
    """The coarse maps, by loops over channels."""
    maps = {kind: np.zeros(activation.shape[1:]) for kind in (GradCam, GradCamPlusPlus, XgradCam)}
    for a, g in zip(activation, gradient, strict=True):
        maps[GradCam] += g.mean() * a
        tamed = sum(slope / (2 + a.sum() * slope) for slope in g.reshape(-1) if slope > 0)
        maps[GradCamPlusPlus] += tamed * a
        maps[XgradCam] += ((g * a).sum() / a.sum() if a.sum() else 0) * a
    return {
        **maps,
        HiresCam: (gradient * activation).sum(axis=0),
        LayerCam: (np.maximum(gradient, 0) * activation).sum(axis=0),
    }


def test_gradient_maps_are_those_of_autograd(pair: Pair, image: Array) -> None:
    leaf, logit = pair.tensor(image)
    (gradient,) = torch.autograd.grad(logit, leaf)
    readings = weights_of(leaf.detach().numpy()[0], gradient.numpy()[0])
    for kind, coarse in readings.items():
        close(explained(kind(), pair.predictor, image), coarse, pair.tolerance)


def test_ablation_cam_is_the_network_without_each_channel(pair: Pair, image: Array) -> None:
    leaf, logit = pair.tensor(image)
    coarse = np.zeros(leaf.shape[2:])
    for channel in range(leaf.shape[1]):
        without = leaf.detach().clone()
        without[:, channel] = 0
        lost = float(logit.detach()) - float(pair.network.head(without)[0, 2].detach())
        coarse += lost * leaf.detach().numpy()[0, channel]
    close(explained(AblationCam(), pair.predictor, image), coarse, pair.tolerance)


def test_score_cam_is_the_softmax_of_masked_images(pair: Pair, image: Array) -> None:
    activation = pair.tensor(image)[0].detach().numpy()[0]
    logits = []
    for channel in activation:
        wide = stretched(channel, SIDE, SIDE)
        spread = np.ptp(wide)
        share = (wide - wide.min()) / spread if spread else np.zeros_like(wide)
        logits.append(pair.logit(share * image))
    powers = np.exp(np.array(logits) - max(logits))
    coarse = np.tensordot(powers / powers.sum(), activation, axes=1)
    close(explained(ScoreCam(), pair.predictor, image), coarse, pair.tolerance)


@pytest.mark.parametrize("centred", [False, True])
def test_eigen_cam_is_the_first_direction(pair: Pair, image: Array, *, centred: bool) -> None:
    activation = pair.tensor(image)[0].detach().numpy()[0]
    cells = activation.reshape(len(activation), -1).T
    cells = cells - cells.mean(axis=0) * centred
    projected = cells @ np.linalg.eigh(cells.T @ cells)[1][:, -1]
    leaning = projected[np.abs(projected).argmax()] if centred else projected.sum()
    coarse = (projected * np.sign(leaning)).reshape(activation.shape[1:])
    close(explained(EigenCam(centred=centred), pair.predictor, image), coarse, pair.tolerance)


def test_guided_backprop_differs_from_saliency_and_smooth_grad_runs(
    pair: Pair, image: Array
) -> None:
    guided = explained(GuidedBackprop(), pair.predictor, image)
    plain = explained(Saliency(), pair.predictor, image)
    assert not np.allclose(guided, plain, rtol=0.1)
    calm = explained(SmoothGrad(samples=6, noise=0.0), pair.predictor, image)
    np.testing.assert_allclose(calm, plain, atol=pair.tolerance * plain.max())


def test_all_channels_share_one_session(pair: Pair, image: Array) -> None:
    sessions = pair.predictor._sessions
    explained(AblationCam(), pair.predictor, image)
    before = len(sessions)
    for kind in (AblationCam, ScoreCam, EigenCam):
        explained(kind(), pair.predictor, image + np.float32(1 / 64))
    assert len(sessions) == before  # plain, a look at the tensor and a gate for all its channels


def test_a_network_without_rectifiers_is_refused_by_name() -> None:
    network = Network(last=False, activation=nn.SiLU).eval()
    predictor = predictor_of(exported(network, (3, SIDE, SIDE), torch.float32))
    for rules in (BackwardRules.GUIDED, BackwardRules.DECONVNET):
        shortfall = predictor.facts.supports(ModelPass("models/net", wrt="", rules=rules))
        assert shortfall is not None
        assert shortfall.capability is Capability.RECTIFIED_GRADIENTS
        assert "its activations are Sigmoid" in shortfall.reason
    assert predictor.facts.supports(ModelPass("models/net", wrt="")) is None


def test_channels_of_spatial_tensors_are_known(pair: Pair) -> None:
    facts = pair.predictor.facts
    assert facts.channels[facts.cam_tensor] == 6
    assert ScoreCam().cost(facts) == AblationCam().cost(facts) == 7
