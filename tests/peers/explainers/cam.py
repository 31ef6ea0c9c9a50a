"""Class activation maps, beside pytorch-grad-cam's, torch-cam's and Captum's."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from captum.attr import LayerGradCam
from pytorch_grad_cam import (
    AblationCAM,
    EigenCAM,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    LayerCAM,
    ScoreCAM,
    XGradCAM,
)
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch.nn.functional import interpolate
from torchcam import methods

from heatproof.evaluators.explainers import Explainer
from tests.evaluators.toys import ask, sample_of
from tests.peers.bench import Bench, Network, explainer, predictor_of
from tests.peers.comparing import KERNELS, Pair, Shown, agrees, differs, near
from tests.peers.inputs import SIDE


def scaled(made: np.ndarray) -> np.ndarray:
    """Between 0 and 1, as pytorch-grad-cam gives its maps."""
    lifted = made - made.min()
    return lifted / lifted.max()


def ours(bench: Bench, made: Explainer) -> list[np.ndarray]:
    """Heatproof's maps of all images."""
    return [bench.explained(made, bench.sample(image)) for image in bench.images]


def grad_cam_maps(bench: Bench, kind: type, network: Network | None = None) -> list[np.ndarray]:
    """pytorch-grad-cam's maps of the top classes."""
    network = network or Network(0, 6.0)
    with kind(model=network, target_layers=[network.second_relu]) as peer:
        return [
            peer(torch.from_numpy(image[None].copy()), [ClassifierOutputTarget(top)])[0]
            for image, top in zip(bench.images, bench.tops(bench.images), strict=True)
        ]


def stretched(coarse: torch.Tensor) -> np.ndarray:
    """A coarse map [batch, height, width] in the input frame, half-pixel centres."""
    size = (SIDE, SIDE)
    found = interpolate(coarse[:, None].double(), size, mode="bilinear", align_corners=False)
    return found[0, 0].detach().numpy()


def torchcam_maps(bench: Bench, kind: type, network: Network | None = None) -> list[np.ndarray]:
    """torch-cam's maps of the top classes, not scaled."""
    network = network or Network(0, 6.0)
    found = []
    with kind(network, network.second_relu, input_shape=(3, SIDE, SIDE)) as peer:
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
            scores = network(torch.from_numpy(image[None].copy()))
            (coarse,) = peer(top, scores, normalized=False)
            found.append(stretched(coarse))
    return found


def as_grad_cam(bench: Bench, name: str, kind: type, **parameters: object) -> Pair:
    """Both scaled to [0, 1]."""
    own = ours(bench, explainer(name, **parameters))
    return [scaled(one) for one in own], [scaled(one) for one in grad_cam_maps(bench, kind)]


SCALED = "after scaling both to [0, 1]"


@agrees("explainer", "grad_cam", "grad-cam", f"`GradCAM`, {SCALED}", KERNELS)
def grad_cam_of_grad_cam(bench: Bench) -> Pair:
    return as_grad_cam(bench, "grad_cam", GradCAM)


@agrees("explainer", "grad_cam", "torchcam", "`GradCAM`, not scaled", KERNELS, "relative")
def grad_cam_of_torchcam(bench: Bench) -> Pair:
    return ours(bench, explainer("grad_cam")), torchcam_maps(bench, methods.GradCAM)


@agrees("explainer", "grad_cam", "captum", "`LayerGradCam`, not scaled", KERNELS, "relative")
def grad_cam_of_captum(bench: Bench) -> Pair:
    peer = LayerGradCam(bench.network, bench.network.second_relu)
    theirs = [
        stretched(
            peer.attribute(
                torch.from_numpy(image[None].copy()), target=top, relu_attributions=True
            )[:, 0]
        )
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True)
    ]
    return ours(bench, explainer("grad_cam")), theirs


@agrees("explainer", "hires_cam", "grad-cam", f"`HiResCAM`, {SCALED}", KERNELS)
def hires_cam(bench: Bench) -> Pair:
    return as_grad_cam(bench, "hires_cam", HiResCAM)


@agrees("explainer", "layer_cam", "grad-cam", f"`LayerCAM`, {SCALED}", KERNELS)
def layer_cam_of_grad_cam(bench: Bench) -> Pair:
    return as_grad_cam(bench, "layer_cam", LayerCAM)


@agrees("explainer", "layer_cam", "torchcam", "`LayerCAM`, not scaled", KERNELS, "relative")
def layer_cam_of_torchcam(bench: Bench) -> Pair:
    return ours(bench, explainer("layer_cam")), torchcam_maps(bench, methods.LayerCAM)


@agrees("explainer", "xgrad_cam", "grad-cam", f"`XGradCAM`, {SCALED}", KERNELS)
def xgrad_cam_of_grad_cam(bench: Bench) -> Pair:
    return as_grad_cam(bench, "xgrad_cam", XGradCAM)


@agrees("explainer", "xgrad_cam", "torchcam", "`XGradCAM`, not scaled", KERNELS, "relative")
def xgrad_cam_of_torchcam(bench: Bench) -> Pair:
    return ours(bench, explainer("xgrad_cam")), torchcam_maps(bench, methods.XGradCAM)


def activations(network: Network, image: np.ndarray) -> torch.Tensor:
    """What the last convolution gives [channels, rows, columns]."""
    kept: list[torch.Tensor] = []
    hook = network.second_relu.register_forward_hook(lambda *seen: kept.append(seen[2]))
    with torch.no_grad():
        network(torch.from_numpy(image[None].copy()))
    hook.remove()
    return kept[0][0]


@agrees("explainer", "eigen_cam", "grad-cam", f"`EigenCAM`, `centred`, {SCALED}", KERNELS)
def eigen_cam(bench: Bench) -> Pair:
    """The sign that LAPACK leaves open is taken from Heatproof's map."""
    own = [scaled(one) for one in ours(bench, explainer("eigen_cam", centred=True))]
    network = Network(0, 6.0)
    found = []
    for image, mine in zip(bench.images, own, strict=True):
        values = activations(network, image)[None].numpy()
        with EigenCAM(model=network, target_layers=[network.second_relu]) as peer:
            coarse = peer.get_cam_image(None, None, None, values, None, False)
        both = [
            scaled(stretched(torch.from_numpy(np.maximum(sign * coarse, 0)))) for sign in (1, -1)
        ]
        found.append(min(both, key=lambda one: np.abs(one - mine).max()))
    return own, found


def of_network(bench: Bench, network: Network, name: str) -> list[np.ndarray]:
    """Heatproof's maps of another network, for the classes that the bench's network predicts."""
    predictor = predictor_of(network)
    made = explainer(name)
    return [ask(made.explain(sample_of(predictor, image)), predictor) for image in bench.images]


@agrees(
    "explainer",
    "grad_cam_plus_plus",
    "grad-cam",
    f"`GradCAMPlusPlus` on logits times 1000, next to which the peer's eps is small, {SCALED}",
    KERNELS,
)
def grad_cam_plus_plus_of_grad_cam(bench: Bench) -> Pair:
    network = loud()
    theirs = grad_cam_maps(bench, GradCAMPlusPlus, network)
    own = of_network(bench, network, "grad_cam_plus_plus")
    return [scaled(one) for one in own], [scaled(one) for one in theirs]


def loud() -> Network:
    """The bench's network with its logits times 1000."""
    network = Network(0, 6000.0)
    network.head.bias.data *= 1000
    return network


@differs(
    "explainer",
    "grad_cam_plus_plus",
    "torchcam",
    "`GradCAMpp` on logits times 1000, not scaled",
    "the peer divides a copy that indexing by a mask makes, so that its alpha is the squared "
    "gradient: weights written out with that alpha give its map",
)
def grad_cam_plus_plus_of_torchcam(bench: Bench) -> Shown:
    network = loud()
    theirs = torchcam_maps(bench, methods.GradCAMpp, network)
    written = list(_squared_alpha(bench, network))
    holds = all(
        near(one / one.max(), other / other.max(), KERNELS)
        for one, other in zip(written, theirs, strict=True)
    )
    return Shown((of_network(bench, network, "grad_cam_plus_plus"), theirs), holds)


def _squared_alpha(bench: Bench, network: Network) -> Iterator[np.ndarray]:
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        values = activations(network, image)[None].requires_grad_()
        (gradient,) = torch.autograd.grad(network.head(values.mean(dim=(2, 3)))[0, top], values)
        weights = (gradient**2 * gradient.clamp(min=0)).sum(dim=(2, 3))
        yield stretched((weights[:, :, None, None] * values).sum(dim=1).clamp(min=0))


@differs(
    "explainer",
    "score_cam",
    "torchcam",
    f"`ScoreCAM`, black, {SCALED}",
    "the peer scales activations to [0, 1] before it stretches them, Heatproof, as the paper, "
    "after: its weights written out in that order give its map",
)
def score_cam_of_torchcam(bench: Bench) -> Shown:
    theirs = [scaled(one) for one in torchcam_maps(bench, methods.ScoreCAM)]
    written = [scaled(one) for one in _written_score_cam(bench, _scaled_then_stretched)]
    own = [scaled(one) for one in ours(bench, explainer("score_cam"))]
    return Shown((own, theirs), near(written, theirs, KERNELS))


@differs(
    "explainer",
    "score_cam",
    "grad-cam",
    f"`ScoreCAM`, black, {SCALED}",
    "the peer stretches activations with aligned corners, not half-pixel centres, and so masks "
    "other pixels: its weights written out with that stretching give its map",
)
def score_cam_of_grad_cam(bench: Bench) -> Shown:
    theirs = [scaled(one) for one in grad_cam_maps(bench, ScoreCAM)]
    written = [scaled(one) for one in _written_score_cam(bench, _stretched_with_aligned_corners)]
    own = [scaled(one) for one in ours(bench, explainer("score_cam"))]
    return Shown((own, theirs), near(written, theirs, KERNELS))


def _unit(values: torch.Tensor) -> torch.Tensor:
    low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
    return (values - low) / (high - low + 1e-8)


def _scaled_then_stretched(values: torch.Tensor) -> torch.Tensor:
    return interpolate(_unit(values)[None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0]


def _stretched_with_aligned_corners(values: torch.Tensor) -> torch.Tensor:
    size = (SIDE, SIDE)
    return _unit(interpolate(values[None], size, mode="bilinear", align_corners=True)[0])


def _written_score_cam(
    bench: Bench, masks_of: Callable[[torch.Tensor], torch.Tensor]
) -> Iterator[np.ndarray]:
    """Score-CAM from its formula, with the masks that a peer makes of the activations."""
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        x, values = torch.from_numpy(image[None].copy()), activations(bench.network, image)
        with torch.no_grad():
            weights = torch.softmax(bench.network(x * masks_of(values)[:, None])[:, top], 0)
            coarse = (weights[:, None, None] * values).sum(0).clamp(min=0)
        yield stretched(coarse[None])


@agrees(
    "explainer",
    "ablation_cam",
    "grad-cam",
    f"`AblationCAM` of classes with a positive logit, which it divides by, {SCALED}",
    KERNELS,
)
def ablation_cam(bench: Bench) -> Pair:
    return as_grad_cam(bench, "ablation_cam", AblationCAM)
