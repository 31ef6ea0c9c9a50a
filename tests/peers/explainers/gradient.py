"""Explainers that read gradients, beside Captum's and pytorch-grad-cam's."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import torch
from captum.attr import (
    Deconvolution,
    GradientShap,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    NoiseTunnel,
    Saliency,
)
from pytorch_grad_cam import GuidedBackpropReLUModel

from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.removal import Black
from tests.peers.bench import Bench, Network, explainer
from tests.peers.comparing import DRAWS, KERNELS, Pair, agrees, agrees_in_mean, seed_peers

SAMPLES = 8


def tensor(image: np.ndarray) -> torch.Tensor:
    """A batch of one image, to be differentiated by."""
    return torch.from_numpy(image[None].copy()).requires_grad_()


def maps(bench: Bench, made: Explainer) -> np.ndarray:
    """Heatproof's maps of all images."""
    return np.stack([bench.explained(made, bench.sample(image)) for image in bench.images])


def of_peer(bench: Bench, attributed: object) -> np.ndarray:
    """What a peer's function of image and class gives for all images."""
    tops = bench.tops(bench.images)
    rows = [attributed(tensor(image), top) for image, top in zip(bench.images, tops, strict=True)]
    return np.stack([row.detach().double().numpy()[0] for row in rows])


@agrees("explainer", "saliency", "captum", "`Saliency`, largest channel", KERNELS, "relative")
def saliency(bench: Bench) -> Pair:
    peer = Saliency(bench.network)
    theirs = of_peer(bench, lambda x, top: peer.attribute(x, target=top, abs=True))
    return maps(bench, explainer("saliency")), theirs.max(axis=1)


@agrees(
    "explainer",
    "integrated_gradients",
    "captum",
    "`IntegratedGradients` by the midpoint rule, 32 points, black, channels summed",
    KERNELS,
    "relative",
)
def integrated_gradients(bench: Bench) -> Pair:
    peer = IntegratedGradients(bench.network)
    theirs = of_peer(
        bench,
        lambda x, top: peer.attribute(x, 0, target=top, n_steps=32, method="riemann_middle"),
    )
    return maps(bench, explainer("integrated_gradients", steps=32)), theirs.sum(axis=1)


@agrees(
    "explainer",
    "input_x_gradient",
    "captum",
    "`InputXGradient`, black, channels summed",
    KERNELS,
    "relative",
)
def input_x_gradient(bench: Bench) -> Pair:
    peer = InputXGradient(bench.network)
    theirs = of_peer(bench, lambda x, top: peer.attribute(x, target=top))
    made = explainer("input_x_gradient", baseline=Black())
    return maps(bench, made), theirs.sum(axis=1)


@agrees(
    "explainer",
    "guided_backprop",
    "captum",
    "`GuidedBackprop`, largest channel",
    KERNELS,
    "relative",
)
def guided_backprop_of_captum(bench: Bench) -> Pair:
    peer = GuidedBackprop(Network(0, 6.0))
    theirs = of_peer(bench, lambda x, top: peer.attribute(x, target=top))
    return maps(bench, explainer("guided_backprop")), np.abs(theirs).max(axis=1)


@agrees(
    "explainer",
    "guided_backprop",
    "grad-cam",
    "`GuidedBackpropReLUModel`, largest channel",
    KERNELS,
    "relative",
)
def guided_backprop_of_grad_cam(bench: Bench) -> Pair:
    peer = GuidedBackpropReLUModel(Network(0, 6.0))
    tops = bench.tops(bench.images)
    theirs = [
        np.abs(peer(torch.from_numpy(image[None].copy()), target_category=top)).max(axis=-1)
        for image, top in zip(bench.images, tops, strict=True)
    ]
    return maps(bench, explainer("guided_backprop")), np.stack(theirs)


@agrees("explainer", "deconvnet", "captum", "`Deconvolution`, largest channel", KERNELS, "relative")
def deconvnet(bench: Bench) -> Pair:
    peer = Deconvolution(Network(0, 6.0))
    theirs = of_peer(bench, lambda x, top: peer.attribute(x, target=top))
    return maps(bench, explainer("deconvnet")), np.abs(theirs).max(axis=1)


@contextmanager
def drawing(noise: np.ndarray) -> Iterator[None]:
    """torch draws this noise in place of its own."""
    drawn = torch.from_numpy(noise.astype(np.float32))
    with mock.patch.object(torch, "normal", return_value=drawn):
        yield


def tunnelled(bench: Bench, made: Explainer, kind: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Heatproof's map of each image, and Captum's [channels, height, width] of the same noise."""
    peer, tops = NoiseTunnel(Saliency(bench.network)), bench.tops(bench.images)
    for image, top in zip(bench.images, tops, strict=True):
        own, asked = bench.spied_map(made, bench.sample(image))
        noise = np.stack([query.image.draw() - image for query in asked])
        with drawing(noise):
            theirs = peer.attribute(
                torch.from_numpy(image[None].copy()),
                nt_type=kind,
                nt_samples=len(noise),
                stdevs=1.0,
                target=top,
                abs=False,
            )
        yield own, theirs.detach().double().numpy()[0]


@agrees(
    "explainer",
    "smooth_grad",
    "captum",
    "`NoiseTunnel` (smoothgrad) fed Heatproof's noise, largest channel of the absolute mean",
    KERNELS,
    "relative",
)
def smooth_grad(bench: Bench) -> Pair:
    found = list(tunnelled(bench, explainer("smooth_grad", samples=SAMPLES), "smoothgrad"))
    return [own for own, _ in found], [np.abs(theirs).max(axis=0) for _, theirs in found]


@agrees(
    "explainer",
    "var_grad",
    "captum",
    "`NoiseTunnel` (vargrad) fed Heatproof's noise, channels summed",
    KERNELS,
    "relative",
)
def var_grad(bench: Bench) -> Pair:
    found = list(tunnelled(bench, explainer("var_grad", samples=SAMPLES), "vargrad"))
    return [own for own, _ in found], [theirs.sum(axis=0) for _, theirs in found]


def cells(made: np.ndarray) -> np.ndarray:
    """Means over 4 x 4 cells: few enough numbers for four standard errors."""
    side = made.shape[0] // 4
    return made.reshape(4, side, 4, side).mean(axis=(1, 3)).reshape(-1)


@agrees_in_mean(
    "explainer",
    "gradient_shap",
    "captum",
    "`GradientShap` over the same three donors, means over 16 cells of 200 draws",
)
def gradient_shap(bench: Bench) -> Pair:
    image, *donors = bench.images
    peer, (top,) = GradientShap(bench.network), bench.tops([image])
    made = explainer("gradient_shap", samples=len(donors))
    ours, theirs = [], []
    for seed in range(DRAWS):
        seed_peers(seed)
        sample = bench.sample(image, donors=tuple(donors), seed=seed)
        ours.append(cells(bench.explained(made, sample)))
        found = peer.attribute(
            torch.from_numpy(image[None].copy()),
            baselines=torch.from_numpy(np.stack(donors)),
            n_samples=len(donors),
            stdevs=0.0,
            target=top,
        )
        theirs.append(cells(found.detach().double().numpy()[0].sum(axis=0)))
    return np.stack(ours), np.stack(theirs)
