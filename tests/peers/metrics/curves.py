"""Curves over removed and shown cells, beside torch-cam's, Quantus' and pytorch-grad-cam's."""

from contextlib import nullcontext
from unittest import mock

import numpy as np
import quantus
import torch
from pytorch_grad_cam.metrics import road
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torchcam.metrics import DeletionInsertionMetric

from heatproof.evaluators.regions import REGIONS, Grid, Slic
from heatproof.evaluators.removal import LinearImputation, OwnMin
from tests.peers.bench import Bench, OneChannel, metric
from tests.peers.comparing import Pair, Shown, agrees, differs, near
from tests.peers.inputs import SIDE

STEPS = 16
PIXELS = Grid(SIDE)
PIXELWISE = "every pixel, 16 steps, black, probabilities"


class Given:
    """A CAM extractor of torch-cam that gives a map made elsewhere."""

    def __init__(self, model: torch.nn.Module, made: np.ndarray) -> None:
        self.model = model
        self._made = torch.from_numpy(made[None].copy())

    def __call__(self, *_: object, **__: object) -> list[torch.Tensor]:
        return [self._made]

    def fuse_cams(self, cams: list[torch.Tensor]) -> torch.Tensor:
        """There is one."""
        return cams[0]

    def _hooks_off(self) -> nullcontext[None]:
        return nullcontext()


def torchcam_areas(bench: Bench) -> list[dict[str, float]]:
    """torch-cam's areas of each image."""
    found = []
    for image, made in zip(bench.images, bench.maps, strict=True):
        peer = DeletionInsertionMetric(
            Given(bench.network, made), lambda logits: torch.softmax(logits, 1), steps=STEPS
        )
        peer.update(torch.from_numpy(image[None].copy()))
        found.append(peer.summary())
    return found


def scores(bench: Bench, name: str, **parameters: object) -> list[float]:
    """Heatproof's score of each image, pixels removed in black."""
    made = metric(name, **parameters)
    return [
        bench.score(made, bench.case(image, own))
        for image, own in zip(bench.images, bench.maps, strict=True)
    ]


@agrees("metric", "deletion", "torchcam", f"`deletion_auc`, {PIXELWISE}")
def deletion(bench: Bench) -> Pair:
    theirs = [areas["deletion_auc"] for areas in torchcam_areas(bench)]
    return scores(bench, "deletion", grid=SIDE, steps=STEPS), theirs


@agrees("metric", "morf_deletion", "torchcam", f"`deletion_auc`, {PIXELWISE}")
def morf_deletion(bench: Bench) -> Pair:
    theirs = [areas["deletion_auc"] for areas in torchcam_areas(bench)]
    return scores(bench, "morf_deletion", regions=PIXELS, steps=STEPS), theirs


@agrees("metric", "insertion", "torchcam", f"`insertion_auc`, {PIXELWISE}")
def insertion(bench: Bench) -> Pair:
    theirs = [areas["insertion_auc"] for areas in torchcam_areas(bench)]
    return scores(bench, "insertion", grid=SIDE, steps=STEPS), theirs


@agrees("metric", "lerf_deletion", "torchcam", f"`insertion_auc`, {PIXELWISE}")
def lerf_deletion(bench: Bench) -> Pair:
    theirs = [areas["insertion_auc"] for areas in torchcam_areas(bench)]
    return scores(bench, "lerf_deletion", regions=PIXELS, steps=STEPS), theirs


GAP = f"`insertion_auc` - `deletion_auc`, {PIXELWISE}"


@agrees("metric", "srg", "torchcam", GAP)
def srg(bench: Bench) -> Pair:
    theirs = [one["insertion_auc"] - one["deletion_auc"] for one in torchcam_areas(bench)]
    return scores(bench, "srg", regions=PIXELS, steps=STEPS), theirs


@agrees("metric", "abpc", "torchcam", GAP)
def abpc(bench: Bench) -> Pair:
    theirs = [one["insertion_auc"] - one["deletion_auc"] for one in torchcam_areas(bench)]
    return scores(bench, "abpc", regions=PIXELS, steps=STEPS), theirs


def of_quantus(
    peer: object, model: torch.nn.Module, image: np.ndarray, made: np.ndarray, top: int
) -> np.ndarray:
    """What a metric of Quantus says of one image [channels, height, width] and its map."""
    found = peer(
        model=model,
        x_batch=image[None].copy(),
        y_batch=np.array([top]),
        a_batch=made[None, None].copy(),
        softmax=True,
        channel_first=True,
    )
    return np.asarray(found, np.float64)[0]


QUIET = {"disable_warnings": True, "abs": False, "normalise": False}


def only_curve(
    bench: Bench, name: str, image: np.ndarray, made: np.ndarray, **parameters: object
) -> np.ndarray:
    """The only curve of a metric."""
    found = bench.outcome(metric(name, **parameters), bench.case(image, made, removal=OwnMin()))
    (curve,) = found.curves.values()
    return np.array(curve.values)


@agrees(
    "metric",
    "pixel_flipping",
    "quantus",
    "`PixelFlipping` on one channel, curve without the clean point, 64 pixels a step, own minimum",
)
def pixel_flipping(bench: Bench) -> Pair:
    """The peer changes values of channels, so it gets a network of one."""
    peer, model = quantus.PixelFlipping(features_in_step=64, **QUIET), OneChannel(bench.network)
    ours, theirs = [], []
    for image, made, top in zip(bench.greys, bench.maps, bench.tops(bench.greys), strict=True):
        ours.append(only_curve(bench, "pixel_flipping", image, made, steps=STEPS)[1:])
        theirs.append(of_quantus(peer, model, image[:1], made, top))
    return ours, theirs


@agrees(
    "metric",
    "region_perturbation",
    "quantus",
    "`RegionPerturbation`, sum of its drops over the points that Heatproof averages, patches of 8, "
    "own minimum",
)
def region_perturbation(bench: Bench) -> Pair:
    steps = 10
    peer = quantus.RegionPerturbation(patch_size=8, regions_evaluation=steps, **QUIET)
    made = metric("region_perturbation", regions=REGIONS["patches"](8), cells=steps)
    ours, theirs = [], []
    for image, own, top in zip(bench.images, bench.maps, bench.tops(bench.images), strict=True):
        ours.append(bench.score(made, bench.case(image, own, removal=OwnMin())))
        theirs.append(of_quantus(peer, bench.network, image, own, top).sum() / (steps + 1))
    return ours, theirs


@agrees(
    "metric",
    "selectivity",
    "quantus",
    "`Selectivity`, its curve without the clean point, patches of 8, own minimum",
)
def selectivity(bench: Bench) -> Pair:
    peer = quantus.Selectivity(patch_size=8, **QUIET)
    ours, theirs = [], []
    for image, own, top in zip(bench.images, bench.maps, bench.tops(bench.images), strict=True):
        ours.append(only_curve(bench, "selectivity", image, own, regions=REGIONS["patches"](8))[1:])
        theirs.append(of_quantus(peer, bench.network, image, own, top))
    return ours, theirs


@differs(
    "metric",
    "irof",
    "quantus",
    "`IROF` fed Heatproof's segments, divided by their number, one channel, own minimum",
    "the peer counts segments in place of shares and leaves the clean point out, which is half a "
    "segment: with the first half step put back both are equal",
)
def irof(bench: Bench) -> Shown:
    peer, model = quantus.IROF(perturb_baseline="black", **QUIET), OneChannel(bench.network)
    made, kind = metric("irof", regions=Slic(16)), Slic(16)
    ours, theirs, mended = [], [], []
    for image, own, top in zip(bench.greys, bench.maps, bench.tops(bench.greys), strict=True):
        case = bench.case(image, own, removal=OwnMin())
        split = case.sample.regions(kind)
        labels = split.spread(np.arange(split.cells, dtype=np.float64)).astype(int)
        ours.append(bench.score(made, case))
        where = "quantus.helpers.utils.get_superpixel_segments"
        with mock.patch(where, lambda known=labels, **_: known):
            found = float(of_quantus(peer, model, image[:1], own, top))
        theirs.append(found / split.cells)
        order = np.argsort(-split.means(own))
        first = np.where(labels == order[0], image.min(), image)
        probabilities = bench.probabilities(np.stack([image, first]).astype(np.float32))[:, top]
        half = (1 + probabilities[1] / probabilities[0]) / 2
        mended.append((found - half) / split.cells)
    return Shown((ours, theirs), near(ours, mended))


def imputing_without_noise() -> object:
    """pytorch-grad-cam's imputer adds noise by a default that its metrics do not set."""
    defaults = (0.0, road.neighbors_weights)
    return mock.patch.object(road.NoisyLinearImputer.__init__, "__defaults__", defaults)


PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


def shares_of_grad_cam(percentiles: list[int]) -> tuple[float, ...]:
    """What lies above each percentile, which the peer interpolates between pixels."""
    values = np.arange(SIDE * SIDE, dtype=np.float64)
    above = [(values >= np.percentile(values, one)).sum() for one in reversed(percentiles)]
    return tuple(float(count) / values.size for count in above)


def of_grad_cam(bench: Bench, peer: object) -> list[float]:
    """What a metric of pytorch-grad-cam says of each image, by probabilities, without noise."""
    found = []
    with imputing_without_noise():
        for image, made, top in zip(
            bench.images, bench.maps, bench.tops(bench.images), strict=True
        ):
            x, targets = torch.from_numpy(image[None].copy()), [ClassifierOutputSoftmaxTarget(top)]
            found.append(float(peer(x, made[None], targets, bench.network)[0]))
    return found


def imputed(bench: Bench, name: str) -> list[float]:
    """Heatproof's score of each image, without noise."""
    made = metric(name, shares=shares_of_grad_cam(PERCENTILES))
    return [
        bench.score(made, bench.case(image, own, removal=LinearImputation(0.0)))
        for image, own in zip(bench.images, bench.maps, strict=True)
    ]


def confidences(bench: Bench) -> np.ndarray:
    """Probabilities of the top classes."""
    return bench.probabilities(np.stack(bench.images)).max(axis=1)


CHANGE = "plus the clean probability, softmax target, noise 0, at the shares above its percentiles"


@agrees("metric", "road_morf", "grad-cam", f"`ROADMostRelevantFirstAverage` {CHANGE}")
def road_morf(bench: Bench) -> Pair:
    theirs = of_grad_cam(bench, road.ROADMostRelevantFirstAverage(PERCENTILES))
    return imputed(bench, "road_morf"), theirs + confidences(bench)


@agrees("metric", "road_lerf", "grad-cam", f"`ROADLeastRelevantFirstAverage` {CHANGE}")
def road_lerf(bench: Bench) -> Pair:
    theirs = of_grad_cam(bench, road.ROADLeastRelevantFirstAverage(PERCENTILES))
    return imputed(bench, "road_lerf"), theirs + confidences(bench)


@agrees(
    "metric",
    "road_combined",
    "grad-cam",
    "`ROADCombined`, softmax target, noise 0, at the shares above its percentiles",
)
def road_combined(bench: Bench) -> Pair:
    return imputed(bench, "road_combined"), of_grad_cam(bench, road.ROADCombined(PERCENTILES))


@agrees(
    "metric",
    "road_morf",
    "quantus",
    "`ROAD` on one channel and one image, the part `accuracy`, noise 0",
)
def road_morf_of_quantus(bench: Bench) -> Pair:
    """On three channels the peer reads places of values as places of pixels."""
    peer = quantus.ROAD(percentages=PERCENTILES, noise=0.0, **QUIET)
    made, model = metric("road_morf"), OneChannel(bench.network)
    ours, theirs = [], []
    for image, own, top in zip(bench.greys, bench.maps, bench.tops(bench.greys), strict=True):
        found = bench.outcome(made, bench.case(image, own, removal=LinearImputation(0.0)))
        ours.append(found.parts["accuracy"])
        answer = peer(
            model=model,
            x_batch=image[None, :1].copy(),
            y_batch=np.array([top]),
            a_batch=own[None, None].copy(),
            channel_first=True,
        )
        theirs.append(np.mean(list(answer.values())))
    return ours, theirs


@differs(
    "metric",
    "monotonicity",
    "quantus",
    "`Monotonicity` on one channel, 64 pixels a step, own minimum",
    "the peer starts from the empty image and writes the empty value over it, so that its input "
    "never changes: it says True of a map and of its negative",
)
def monotonicity(bench: Bench) -> Shown:
    peer, model = quantus.Monotonicity(features_in_step=64, **QUIET), OneChannel(bench.network)
    made = metric("monotonicity", regions=PIXELS, steps=STEPS)
    ours, theirs, turned = [], [], []
    for image, own, top in zip(bench.greys, bench.maps, bench.tops(bench.greys), strict=True):
        ours.append(bench.score(made, bench.case(image, own, removal=OwnMin())))
        theirs.append(float(of_quantus(peer, model, image[:1], own, top)))
        turned.append(float(of_quantus(peer, model, image[:1], -own, top)))
    return Shown((ours, theirs), all(theirs) and all(turned) and not all(ours))
