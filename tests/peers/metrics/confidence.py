"""What masking the image by its map does, beside pytorch-grad-cam's and torch-cam's."""

from collections.abc import Iterator

import numpy as np
import torch
from pytorch_grad_cam.metrics import cam_mult_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torchcam.metrics import ClassificationMetric

from tests.peers.bench import Bench, metric
from tests.peers.comparing import Pair, agrees
from tests.peers.metrics.curves import Given


def heat(made: np.ndarray) -> np.ndarray:
    """The positive part, scaled to [0, 1]."""
    positive = np.maximum(made, 0)
    return (positive - positive.min()) / (positive.max() - positive.min())


def trials(bench: Bench) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Each image and its map, with its top class and with the class that the masked image gains."""
    masked = [image * heat(own) for image, own in zip(bench.images, bench.maps, strict=True)]
    yield from zip(bench.images, bench.maps, bench.tops(bench.images), strict=True)
    gaining = bench.tops([one.astype(np.float32) for one in masked])
    yield from zip(bench.images, bench.maps, gaining, strict=True)


def ours(bench: Bench, name: str) -> list[float]:
    """Heatproof's scores, black."""
    made = metric(name)
    return [bench.score(made, bench.case(image, own, target=k)) for image, own, k in trials(bench)]


def of_grad_cam(bench: Bench, peer: object) -> list[float]:
    """What a metric of pytorch-grad-cam says."""
    found = []
    for image, own, k in trials(bench):
        x, targets = torch.from_numpy(image[None].copy()), [ClassifierOutputSoftmaxTarget(k)]
        cams = heat(own)[None].astype(np.float32)
        found.append(float(peer(x, cams, targets, bench.network)[0]))
    return found


def of_torchcam(bench: Bench) -> list[dict[str, float]]:
    """What torch-cam says of each trial."""
    found = []
    for image, own, k in trials(bench):
        given = Given(bench.network, heat(own).astype(np.float32))
        peer = ClassificationMetric(given, lambda logits: torch.softmax(logits, 1))
        peer.update(torch.from_numpy(image[None].copy()), k)
        found.append(peer.summary())
    return found


FED = "fed Heatproof's scaled map, black, probabilities, of a class that loses and one that gains"


@agrees("metric", "drop_in_confidence", "grad-cam", f"`DropInConfidence` {FED}")
def drop_in_confidence(bench: Bench) -> Pair:
    return ours(bench, "drop_in_confidence"), of_grad_cam(bench, cam_mult_image.DropInConfidence())


@agrees("metric", "increase_in_confidence", "grad-cam", f"`IncreaseInConfidence` {FED}")
def increase_of_grad_cam(bench: Bench) -> Pair:
    theirs = of_grad_cam(bench, cam_mult_image.IncreaseInConfidence())
    return ours(bench, "increase_in_confidence"), theirs


@agrees("metric", "increase_in_confidence", "torchcam", f"`conf_increase` {FED}")
def increase_of_torchcam(bench: Bench) -> Pair:
    theirs = [one["conf_increase"] for one in of_torchcam(bench)]
    return ours(bench, "increase_in_confidence"), theirs


@agrees(
    "metric",
    "average_drop",
    "torchcam",
    "`avg_drop`, an image's own ratio, fed Heatproof's scaled map, black, probabilities",
)
def average_drop(bench: Bench) -> Pair:
    """Heatproof's score of one image is its ratio; a data set's is the ratio of the sums."""
    made = metric("average_drop")
    pairs = zip(bench.images, bench.maps, strict=True)
    own = [bench.score(made, bench.case(image, one)) for image, one in pairs]
    return own, [one["avg_drop"] for one in of_torchcam(bench)][: len(own)]
