"""How spread a map is, beside Quantus' and pytorch-grad-cam's."""

import numpy as np
import quantus
from pytorch_grad_cam.metrics.arcc import Complexity

from tests.peers.bench import Bench, metric
from tests.peers.comparing import Pair, Shown, agrees, differs, near

QUIET = {"disable_warnings": True, "abs": True, "normalise": False}


def ours(bench: Bench, name: str, maps: list[np.ndarray], **parameters: object) -> list[float]:
    """Heatproof's scores."""
    made = metric(name, **parameters)
    pairs = zip(bench.images, maps, strict=True)
    return [bench.score(made, bench.case(image, own)) for image, own in pairs]


def theirs(bench: Bench, peer: object, maps: list[np.ndarray]) -> np.ndarray:
    """Those of a metric of Quantus."""
    found = peer(
        model=bench.network,
        x_batch=np.stack(bench.images),
        y_batch=np.array(bench.tops(bench.images)),
        a_batch=np.stack(maps)[:, None].copy(),
        channel_first=True,
    )
    return np.asarray(found, np.float64)


@agrees("metric", "sparseness", "quantus", "`Sparseness` of maps of mean magnitude near 1")
def sparseness(bench: Bench) -> Pair:
    """The peer adds 1e-7 to every value."""
    maps = [1000 * made for made in bench.maps]
    return ours(bench, "sparseness", maps), theirs(bench, quantus.Sparseness(**QUIET), maps)


@differs(
    "metric",
    "sparseness",
    "quantus",
    "`Sparseness` of maps of mean magnitude near 1e-6",
    "the peer adds 1e-7 to every value: Heatproof's score of the map with that added is the peer's",
)
def sparseness_of_small_maps(bench: Bench) -> Shown:
    maps = [1e-5 * made for made in bench.maps]
    own, peer = ours(bench, "sparseness", maps), theirs(bench, quantus.Sparseness(**QUIET), maps)
    raised = ours(bench, "sparseness", [np.abs(one) + 1e-7 for one in maps])
    return Shown((own, peer), near(raised, peer, 1e-9) and not near(own, peer, 1e-4))


@agrees("metric", "complexity", "quantus", "`Complexity`", 1e-8)
def complexity(bench: Bench) -> Pair:
    """The peer adds 1e-12 to every share."""
    maps = bench.maps
    return ours(bench, "complexity", maps), theirs(bench, quantus.Complexity(**QUIET), maps)


@agrees(
    "metric",
    "effective_complexity",
    "quantus",
    "`EffectiveComplexity` over the pixels, maps over their maximum, eps 0.1",
    1e-12,
)
def effective_complexity(bench: Bench) -> Pair:
    maps = [made / np.abs(made).max() for made in bench.maps]
    counts = theirs(bench, quantus.EffectiveComplexity(eps=0.1, **QUIET), maps)
    return ours(bench, "effective_complexity", maps, eps=0.1), counts / maps[0].size


@agrees("metric", "mean_activation", "grad-cam", "`Complexity` of maps in [0, 1]", 1e-12)
def mean_activation(bench: Bench) -> Pair:
    maps = [made - made.min() for made in bench.positive_maps]
    scaled = np.stack([made / made.max() for made in maps])
    return ours(bench, "mean_activation", maps), Complexity()(scaled)
