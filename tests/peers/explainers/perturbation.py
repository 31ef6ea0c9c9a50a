"""Explainers that hide parts of the image, beside Captum's and the lime package's."""

import numpy as np
import torch
from captum.attr import KernelShap, Occlusion, ShapleyValues
from lime.lime_image import LimeImageExplainer
from pytorch_grad_cam.sobel_cam import sobel_cam

from heatproof.evaluators.explainers.perturbation.surrogate import shown_at_random
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black
from tests.peers.bench import Bench, Probabilities, explainer
from tests.peers.comparing import (
    DRAWS,
    Pair,
    Shown,
    agrees,
    agrees_in_mean,
    differs,
    near,
    seed_peers,
)
from tests.peers.inputs import SIDE


@agrees("explainer", "occlusion", "captum", "`Occlusion`, patches of 8, steps of 4, black")
def occlusion(bench: Bench) -> Pair:
    peer = Occlusion(Probabilities(bench.network))
    made = explainer("occlusion", patch=8, stride=4, removal=Black())
    theirs = [
        peer.attribute(
            torch.from_numpy(image[None].copy()),
            sliding_window_shapes=(3, 8, 8),
            strides=(3, 4, 4),
            baselines=0,
            target=top,
        )[0, 0].numpy()
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True)
    ]
    return [bench.explained(made, bench.sample(image)) for image in bench.images], theirs


class Fed(np.random.RandomState):
    """Gives out samples that were drawn elsewhere."""

    def __init__(self, shown: np.ndarray) -> None:
        super().__init__(0)
        self._shown = shown

    def randint(self, *_: object, **__: object) -> np.ndarray:
        """Which segments each sample shows."""
        return self._shown.astype(int).reshape(-1)


@agrees(
    "explainer",
    "lime",
    "lime",
    "`LimeImageExplainer` fed Heatproof's segments and samples, black, coefficients",
)
def lime(bench: Bench) -> Pair:
    regions, samples = Grid(4), 100
    made = explainer(
        "lime", regions=regions, samples=samples, removal=Black(), spread="coefficient"
    )
    ours, theirs = [], []
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        sample = bench.sample(image)
        ours.append(bench.explained(made, sample))
        split = sample.regions(regions)
        labels = split.spread(np.arange(split.cells, dtype=np.float64)).astype(int)
        peer = LimeImageExplainer()
        peer.random_state = Fed(shown_at_random(sample, split.cells, samples))
        found = peer.explain_instance(
            image.transpose(1, 2, 0).astype(np.float64),
            lambda shown: bench.probabilities(shown.transpose(0, 3, 1, 2).astype(np.float32)),
            labels=(top,),
            top_labels=None,
            hide_color=0,
            num_samples=samples,
            segmentation_fn=lambda _, known=labels: known,
        )
        coefficients = dict(found.local_exp[top])
        theirs.append(np.vectorize(coefficients.get)(labels))
    return ours, theirs


def feature_mask(side: int) -> torch.Tensor:
    """Cells of a grid for Captum [1, 1, height, width]."""
    cell = np.arange(SIDE) * side // SIDE
    return torch.from_numpy(cell[:, None] * side + cell[None])[None, None]


@agrees(
    "explainer",
    "kernel_shap",
    "captum",
    "`ShapleyValues` over all orders of four cells, black",
)
def kernel_shap_exact(bench: Bench) -> Pair:
    peer = ShapleyValues(Probabilities(bench.network))
    made = explainer("kernel_shap", regions=Grid(2), removal=Black(), spread="coefficient")
    theirs = [
        peer.attribute(
            torch.from_numpy(image[None].copy()), 0, target=top, feature_mask=feature_mask(2)
        )[0, 0].numpy()
        for image, top in zip(bench.images, bench.tops(bench.images), strict=True)
    ]
    return [bench.explained(made, bench.sample(image)) for image in bench.images], theirs


@agrees_in_mean(
    "explainer",
    "kernel_shap",
    "captum",
    "`KernelShap`, 16 cells, 128 samples, black, 200 draws",
)
def kernel_shap_drawn(bench: Bench) -> Pair:
    image, side, samples = bench.images[0], 4, 128
    peer, (top,) = KernelShap(Probabilities(bench.network)), bench.tops([image])
    made = explainer(
        "kernel_shap", regions=Grid(side), samples=samples, removal=Black(), spread="coefficient"
    )
    middle = np.arange(side) * SIDE // side
    ours, theirs = [], []
    for seed in range(DRAWS):
        seed_peers(seed)
        ours.append(bench.explained(made, bench.sample(image, seed=seed))[np.ix_(middle, middle)])
        found = peer.attribute(
            torch.from_numpy(image[None].copy()),
            0,
            target=top,
            feature_mask=feature_mask(side),
            n_samples=samples,
            perturbations_per_eval=64,
        )
        theirs.append(found[0, 0].numpy()[np.ix_(middle, middle)])
    return np.stack(ours), np.stack(theirs)


@differs(
    "explainer",
    "edges",
    "grad-cam",
    "`sobel_cam` of the image in bytes",
    "the peer takes half the sum of both absolute derivatives, of bytes, cut off at 255, with the "
    "other reflected border, Heatproof the length of the gradient: away from the border both are "
    "so made of the same derivatives",
)
def edges(bench: Bench) -> Shown:
    ours, theirs, holds = [], [], True
    for image in bench.images:
        dim = (0.25 * image).astype(np.float32)  # so that no derivative is cut off
        own = bench.explained(explainer("edges"), bench.sample(dim))
        peer = sobel_cam(np.round(255 * dim).astype(np.uint8).transpose(1, 2, 0)) / 255
        luminance = np.tensordot((0.299, 0.587, 0.114), dim.astype(np.float64), axes=1)
        across, down = _sobel(luminance), _sobel(luminance.T).T
        inner = (slice(1, -1), slice(1, -1))
        holds &= near(own[inner], np.hypot(across, down), 1e-5)
        # bytes: eight roundings of half a unit a derivative
        holds &= near(peer[inner], (np.abs(across) + np.abs(down)) / 2, 5 / 255)
        ours.append(own)
        theirs.append(peer)
    return Shown((ours, theirs), holds)


def _sobel(plane: np.ndarray) -> np.ndarray:
    smooth = plane[:-2] + 2 * plane[1:-1] + plane[2:]
    return smooth[:, 2:] - smooth[:, :-2]
