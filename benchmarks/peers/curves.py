"""Perturbation curves in Quantus, torch-cam and pytorch-grad-cam."""

import numpy as np
import quantus
import torch
from pytorch_grad_cam.metrics import road
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
from torchcam.metrics import DeletionInsertionMetric

from benchmarks.peers.comparing import Contest
from benchmarks.peers.given import SIDE, Given
from benchmarks.peers.networks import Network
from benchmarks.peers.service import Service
from tests.peers.bench import OneChannel
from tests.peers.metrics.curves import Given as GivenMap
from tests.peers.metrics.curves import imputing_without_noise


def classes(network: Network, given: Given) -> list[int]:
    """What the network predicts of every image."""
    with torch.no_grad():
        found: list[int] = network.torch(torch.from_numpy(given.pixels)).argmax(dim=1).tolist()
    return found


def confidences(network: Network, given: Given) -> np.ndarray:
    """The probability of that class."""
    with torch.no_grad():
        logits = network.torch(torch.from_numpy(given.pixels))
    return torch.softmax(logits, 1).amax(dim=1).numpy()


def pixel_flipping(network: Network, service: Service, steps: int) -> Contest:
    """Quantus changes values of channels, so it gets a network of one."""
    given = service.given
    peer = quantus.PixelFlipping(
        features_in_step=SIDE * SIDE // steps,
        disable_warnings=True,
        abs=False,
        normalise=False,
    )
    inputs = {
        "model": OneChannel(network.torch),
        "x_batch": given.pixels[:, :1].copy(),
        "y_batch": np.array(classes(network, given)),
        "a_batch": np.stack(given.maps)[:, None],
    }
    clean = confidences(network, given)

    def theirs() -> np.ndarray:
        curves = np.array(peer(**inputs, softmax=True, channel_first=True))
        return np.trapezoid(np.column_stack([clean, curves]))[:, None] / steps

    return Contest(
        f"pixel flipping, {given.count} images, {steps} steps",
        "Quantus `PixelFlipping`",
        theirs,
        lambda: service.scores({"pixel_flipping": {"steps": steps}}, "own_min"),
        network.name,
        lambda: {"plain": service.predictions},
    )


def deletion_and_insertion(network: Network, service: Service, steps: int) -> Contest:
    """torch-cam's metric gives both areas."""
    given = service.given

    def theirs() -> np.ndarray:
        found = []
        for pixels, made in zip(given.pixels, given.maps, strict=True):
            peer = DeletionInsertionMetric(
                GivenMap(network.torch, made), lambda logits: torch.softmax(logits, 1), steps=steps
            )
            peer.update(torch.from_numpy(pixels[None].copy()))
            areas = peer.summary()
            found.append([areas["deletion_auc"], areas["insertion_auc"]])
        return np.array(found)

    curve = {"grid": SIDE, "steps": steps}
    return Contest(
        f"deletion and insertion, {given.count} images, {steps} steps each, single pixels",
        "torch-cam `DeletionInsertionMetric`",
        theirs,
        lambda: service.areas([{"deletion": curve}, {"insertion": curve}], "black"),
        network.name,
        lambda: {"plain": service.predictions},
    )


def road_morf(network: Network, service: Service, percentiles: list[int]) -> Contest:
    """pytorch-grad-cam says how far the confidence rises, Heatproof how high it stays."""
    given = service.given
    tops = classes(network, given)
    clean = confidences(network, given)

    def theirs() -> np.ndarray:
        peer, found = road.ROADMostRelevantFirstAverage(percentiles), []
        with imputing_without_noise():
            for pixels, made, top in zip(given.pixels, given.maps, tops, strict=True):
                x, targets = torch.from_numpy(pixels[None].copy()), _targets(top)
                found.append(float(peer(x, made[None], targets, network.torch)[0]))
        return np.array(found)[:, None] + clean[:, None]

    values = np.arange(SIDE * SIDE, dtype=np.float64)
    shares = [float((values >= np.percentile(values, one)).mean()) for one in reversed(percentiles)]
    return Contest(
        f"ROAD, most relevant first, {given.count} images, {len(shares)} shares",
        "pytorch-grad-cam `ROADMostRelevantFirstAverage`",
        theirs,
        lambda: service.scores(
            {"road_morf": {"shares": shares}}, {"linear_imputation": {"noise": 0.0}}
        ),
        network.name,
        lambda: {"plain": service.predictions},
    )


def _targets(top: int) -> list[ClassifierOutputSoftmaxTarget]:
    return [ClassifierOutputSoftmaxTarget(top)]
