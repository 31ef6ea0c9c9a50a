"""Whether maps stay when only what they keep is left, beside pytorch-grad-cam's."""

import torch
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.metrics.arcc import ARCC, Coherency
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from heatproof.evaluators.explainers import GradCam
from heatproof.evaluators.removal import Black, LinearImputation
from tests.peers.bench import Bench, Network, Probabilities, metric
from tests.peers.comparing import Pair, agrees
from tests.peers.metrics.curves import imputing_without_noise, shares_of_grad_cam

PERCENTILES = [20, 40, 60, 80]


def ours(bench: Bench, name: str, **parameters: object) -> list[float]:
    """Heatproof's scores of Grad-CAM, black."""
    made, kind, found = metric(name, **parameters), GradCam(), []
    for image in bench.images:
        own = bench.explained(kind, bench.sample(image))
        found.append(bench.score(made, bench.case(image, own, explainer=kind, removal=Black())))
    return found


@agrees("metric", "coherency", "grad-cam", "`Coherency` of Grad-CAM, black", 1e-4)
def coherency(bench: Bench) -> Pair:
    network, theirs = Network(0, 6.0), []
    with GradCAM(model=network, target_layers=[network.second_relu]) as cam:
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
            x, targets = torch.from_numpy(image[None].copy()), [ClassifierOutputTarget(top)]
            found = Coherency()(x, cam(x, targets), targets, network, cam)
            theirs.append(float(found[0]))
    return ours(bench, "coherency"), theirs


@agrees(
    "metric",
    "arcc",
    "grad-cam",
    "`ARCC` of Grad-CAM, black, softmax target, noise 0, at the shares above its percentiles",
    1e-4,
)
def arcc(bench: Bench) -> Pair:
    """The probabilities are for ROAD; Grad-CAM itself keeps to the logits."""
    network, theirs = Network(0, 6.0), []
    model = Probabilities(bench.network)
    with (
        GradCAM(model=network, target_layers=[network.second_relu]) as cam,
        imputing_without_noise(),
    ):
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
            x, targets = torch.from_numpy(image[None].copy()), [ClassifierOutputTarget(top)]
            found = ARCC(cam, PERCENTILES)(x, cam(x, targets), targets, model)
            theirs.append(float(found[0]))
    shares, imputation = shares_of_grad_cam(PERCENTILES), LinearImputation(0.0)
    return ours(bench, "arcc", shares=shares, imputation=imputation), theirs
