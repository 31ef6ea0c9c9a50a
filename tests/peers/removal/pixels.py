"""What hidden pixels become, beside the perturbations of Quantus, torch-cam and others."""

import numpy as np
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer
from quantus.functions import perturb_func
from quantus.helpers.utils import get_baseline_value
from torchcam.metrics import DeletionInsertionMetric
from torchvision.transforms.functional import gaussian_blur

from heatproof.evaluators.removal import (
    REMOVALS,
    Black,
    Blur,
    Colour,
    Grey,
    LinearImputation,
    Mean,
    Neighbourhood,
    Noise,
    OwnMax,
    OwnMin,
    RemovalOperator,
    White,
)
from tests.evaluators.toys import bound
from tests.peers.bench import Bench, metric
from tests.peers.comparing import DRAWS, Pair, Shown, agrees, agrees_in_mean, differs, near
from tests.peers.inputs import SIDE, attribution
from tests.peers.metrics.curves import STEPS, Given

VISIBLE = attribution(99) < 0.1


def painted(bench: Bench, removal: RemovalOperator) -> np.ndarray:
    """Every image with the same pixels removed."""
    return np.stack([bound(removal, image)(VISIBLE) for image in bench.images])


def of_quantus(bench: Bench, baseline: object) -> np.ndarray:
    """The same by Quantus; three channels are removed together."""
    hidden = np.broadcast_to(~VISIBLE, (3, SIDE, SIDE))
    return np.stack(
        [
            perturb_func.baseline_replacement_by_mask(image, hidden, baseline)
            for image in bench.images
        ]
    )


@agrees("removal", "black", "quantus", "baseline 0.0", 0.0)
def black(bench: Bench) -> Pair:
    return painted(bench, Black()), of_quantus(bench, 0.0)


@agrees("removal", "white", "quantus", "baseline 1.0", 0.0)
def white(bench: Bench) -> Pair:
    return painted(bench, White()), of_quantus(bench, 1.0)


@agrees("removal", "grey127", "quantus", "baseline 127 / 255", 0.0)
def grey127(bench: Bench) -> Pair:
    return painted(bench, REMOVALS["grey127"]()), of_quantus(bench, np.float32(127 / 255).item())


@agrees("removal", "own_min", "quantus", "baseline `black`", 0.0)
def own_min(bench: Bench) -> Pair:
    return painted(bench, OwnMin()), of_quantus(bench, "black")


@agrees("removal", "own_max", "quantus", "baseline `white`", 0.0)
def own_max(bench: Bench) -> Pair:
    return painted(bench, OwnMax()), of_quantus(bench, "white")


def deletion_areas(bench: Bench, removal: RemovalOperator, colour: np.ndarray) -> Pair:
    """Areas of deletion in a colour, by Heatproof and torch-cam."""
    made, ours, theirs = metric("deletion", grid=SIDE, steps=STEPS), [], []
    for image, own in zip(bench.images, bench.maps, strict=True):
        ours.append(bench.score(made, bench.case(image, own, removal=removal)))
        peer = DeletionInsertionMetric(
            Given(bench.network, own),
            lambda logits: torch.softmax(logits, 1),
            steps=STEPS,
            baseline=torch.from_numpy(colour.astype(np.float32))[:, None, None],
        )
        peer.update(torch.from_numpy(image[None].copy()))
        theirs.append(peer.summary()["deletion_auc"])
    return ours, theirs


@agrees("removal", "colour", "torchcam", "`deletion_auc` with that baseline")
def colour(bench: Bench) -> Pair:
    return deletion_areas(bench, Colour(0.2, 0.4, 0.9), np.array([0.2, 0.4, 0.9]))


@agrees(
    "removal",
    "grey",
    "torchcam",
    "`deletion_auc` with ImageNet's mean as baseline, which is 0 after a peer's normalization",
)
def grey(bench: Bench) -> Pair:
    return deletion_areas(bench, Grey(), bench.network.mean.numpy().reshape(-1))


@differs(
    "removal",
    "mean",
    "quantus",
    "baseline `mean`",
    "the peer takes one mean over all channels, Heatproof one a channel: on images of equal "
    "channels both are the same",
)
def mean(bench: Bench) -> Shown:
    greys = Bench(bench.network)
    greys.images = bench.greys
    holds = near(painted(greys, Mean()), of_quantus(greys, "mean"), 1e-6)
    return Shown((painted(bench, Mean()), of_quantus(bench, "mean")), holds)


@differs(
    "removal",
    "blur",
    "torchvision",
    "`gaussian_blur`, which users of torch-cam give as baseline, sigma 2",
    "the peer reflects about the middle of the border pixels, Heatproof about their edge: where "
    "the kernel stays inside both are the same",
)
def blur(bench: Bench) -> Shown:
    sigma, reach = 2.0, 8
    nothing = np.zeros((SIDE, SIDE), np.bool_)
    ours = np.stack([bound(Blur(sigma=sigma), image)(nothing) for image in bench.images])
    batch = torch.from_numpy(np.stack(bench.images))
    theirs = gaussian_blur(batch, [2 * reach + 1] * 2, [sigma] * 2).numpy()
    inner = (..., slice(reach, -reach), slice(reach, -reach))
    return Shown((ours, theirs), near(ours[inner], theirs[inner], 1e-6))


@differs(
    "removal",
    "blur",
    "quantus",
    "`baseline_replacement_by_blur`, 15 x 15",
    "the peer takes the mean of a square: of a ramp, which a Gaussian and a square both keep, both "
    "leave the same inside",
)
def blur_of_quantus(bench: Bench) -> Shown:
    side = 48
    ramp = np.broadcast_to(np.linspace(0.2, 0.8, side, dtype=np.float32), (3, side, side)).copy()
    image = bench.images[0]
    middle = (slice(None), slice(20, 28), slice(20, 28))
    visible = np.ones((side, side), np.bool_)
    visible[20:28, 20:28] = False
    theirs = _boxed(ramp, np.nonzero(~visible))
    ours = bound(Blur(sigma=2.0), ramp)(visible)
    holds = near(ours[middle], theirs[middle], 1e-5)
    own = bound(Blur(sigma=2.0), image)(VISIBLE)
    return Shown((own, _boxed(image, np.nonzero(~VISIBLE))), holds)


def _boxed(image: np.ndarray, hidden: tuple[np.ndarray, ...]) -> np.ndarray:
    return perturb_func.baseline_replacement_by_blur(image, hidden, [1, 2], 15)


@differs(
    "removal",
    "noise",
    "quantus",
    "baseline `uniform`, 200 draws",
    "the peer draws anew for every call, so that the masks of a curve do not nest, and where it "
    "works on batches one number for all pixels: its draws have the mean and the spread of "
    "Heatproof's",
)
def noise(bench: Bench) -> Shown:
    image = bench.images[0]
    hidden = np.broadcast_to(~VISIBLE, image.shape)
    ours = np.stack([bound(Noise(), image, seed)(VISIBLE)[hidden] for seed in range(DRAWS)])
    theirs = np.stack(
        [
            perturb_func.baseline_replacement_by_mask(image, hidden, "uniform")[hidden]
            for _ in range(DRAWS)
        ]
    )
    flat = np.arange(image.size)[None]
    whole = perturb_func.batch_baseline_replacement_by_indices(
        image.reshape(1, -1), flat, "uniform"
    )
    alike = near([ours.mean(), ours.std()], [theirs.mean(), theirs.std()], 0.01)
    return Shown((ours, theirs), alike and len(np.unique(whole)) == 1)


@agrees_in_mean(
    "removal", "noise", "quantus", "baseline `uniform`, means over all hidden values of 200 draws"
)
def noise_in_mean(bench: Bench) -> Pair:
    image = bench.images[0]
    hidden = np.broadcast_to(~VISIBLE, image.shape)
    ours = [bound(Noise(), image, seed)(VISIBLE)[hidden].mean() for seed in range(DRAWS)]
    theirs = [
        perturb_func.baseline_replacement_by_mask(image, hidden, "uniform")[hidden].mean()
        for _ in range(DRAWS)
    ]
    return np.array(ours)[:, None], np.array(theirs)[:, None]


@differs(
    "removal",
    "neighbourhood",
    "quantus",
    "baseline `neighbourhood_mean` of the 11 x 11 pixels around a hidden one",
    "the peer's option raises for any array, for it asks whether the array is true; its formula is "
    "the mean over a window with the hidden pixels in it, where Heatproof's is that over its "
    "visible pixels: both, written out, show that",
)
def neighbourhood(bench: Bench) -> Shown:
    """In the middle of a patch, where the window of both is the same."""
    visible = np.ones((SIDE, SIDE), np.bool_)
    visible[12:19, 12:19] = False
    window = (slice(None), slice(10, 21), slice(10, 21))
    ours, theirs, holds = [], [], True
    for image in bench.images:
        own = bound(Neighbourhood(5), image)(visible)[:, 15, 15]
        patch = image[window]
        holds &= _raises(image, patch)
        holds &= near(own, patch[:, visible[window[1:]]].mean(axis=1), 1e-6)
        ours.append(own)
        theirs.append(patch.mean(axis=(1, 2)))
    return Shown((ours, theirs), holds and not near(ours, theirs, 1e-4))


def _raises(image: np.ndarray, patch: np.ndarray) -> bool:
    try:
        get_baseline_value("neighbourhood_mean", image, image.shape, patch=patch)
    except ValueError as error:
        return "ambiguous" in str(error)
    return False


@agrees("removal", "linear_imputation", "quantus", "`noisy_linear_imputation`, noise 0")
def linear_imputation_of_quantus(bench: Bench) -> Pair:
    hidden = np.flatnonzero(~VISIBLE)
    theirs = [
        perturb_func.noisy_linear_imputation(image.astype(np.float64), hidden, noise=0.0)
        for image in bench.images
    ]
    return painted(bench, LinearImputation(0.0)), theirs


@agrees("removal", "linear_imputation", "grad-cam", "`NoisyLinearImputer`, noise 0")
def linear_imputation_of_grad_cam(bench: Bench) -> Pair:
    imputer = NoisyLinearImputer(noise=0.0)
    mask = torch.from_numpy(VISIBLE.astype(np.float32))
    theirs = [imputer(torch.from_numpy(image.copy()), mask).numpy() for image in bench.images]
    return painted(bench, LinearImputation(0.0)), theirs
