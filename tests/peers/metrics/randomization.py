"""How far maps follow the weights, beside Quantus', which gets the weights that Heatproof draws."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from unittest import mock

import numpy as np
import onnx_ir as ir
import quantus
import torch
from quantus.functions.similarity_func import correlation_spearman
from quantus.helpers.model.pytorch_model import PyTorchModel

from heatproof.evaluators.explainers import Saliency
from heatproof.graphs.randomization import randomized
from tests.peers.bench import Bench, Network, metric
from tests.peers.comparing import KERNELS, Pair, Shown, agrees, differs, near
from tests.peers.inputs import CLASSES
from tests.peers.metrics.robustness import for_quantus

QUIET = {"disable_warnings": True, "normalise": False}
FED = "fed the weights that Heatproof draws, a layer a stage, maps of saliency"
_OPERANDS = {"operand_1": "weight", "operand_2": "bias"}


def redrawn(bench: Bench, layers: tuple[str, ...], seed: int) -> Network:
    """The network with the weights that Heatproof draws for these layers."""
    network, model = deepcopy(bench.network), bench.model
    drawn = randomized(model, layers, seed).graph.initializers
    state = network.state_dict()
    for layer in layers:
        module = layer.split("/")[1]
        for operand, name in _OPERANDS.items():
            value: ir.Value = drawn[f"{layer}/{operand}"]
            state[f"{module}.{name}"] = torch.from_numpy(value.const_value.numpy().copy())
    network.load_state_dict(state)
    return network


@contextmanager
def fed(bench: Bench, stages: list[tuple[str, ...]]) -> Iterator[None]:
    """Quantus meets these random networks in place of its own."""

    def networks(*_: object, **__: object) -> Iterator[tuple[str, Network]]:
        for place, layers in enumerate(stages):
            yield f"stage {place}", redrawn(bench, layers, 0)

    with mock.patch.object(PyTorchModel, "get_random_layer_generator", networks):
        yield


def of_quantus(
    bench: Bench, peer: object, images: np.ndarray, tops: list[int], *, softmax: bool = False
) -> np.ndarray:
    """What a metric of Quantus says of all images."""
    found = peer(
        model=bench.network,
        x_batch=images.copy(),
        y_batch=np.array(tops),
        a_batch=None,
        explain_func=for_quantus,
        channel_first=True,
        softmax=softmax,
        batch_size=len(images),
    )
    return np.asarray(found, np.float64)


def ours(bench: Bench, name: str, **parameters: object) -> list[float]:
    """Heatproof's scores of saliency."""
    made, kind, found = metric(name, **parameters), Saliency(), []
    for image in bench.images:
        case = bench.case(image, bench.explained(kind, bench.sample(image)), explainer=kind)
        found.append(bench.score(made, case))
    return found


def cascade(bench: Bench, *, top_down: bool) -> list[tuple[str, ...]]:
    """Layers that are drawn anew at each stage, a layer more each time."""
    layers = bench.predictor.facts.layers
    lasts = range(1, len(layers) + 1)
    return [layers[len(layers) - last :] if top_down else layers[:last] for last in lasts]


def mprt_of_quantus(bench: Bench, stages: list[tuple[str, ...]], **options: object) -> np.ndarray:
    """What `MPRT` says of all images."""
    with fed(bench, stages):
        peer = quantus.MPRT(abs=True, **options, **QUIET)
        return of_quantus(bench, peer, np.stack(bench.images), bench.tops(bench.images))


@agrees(
    "metric", "mprt", "quantus", f"`MPRT` of the last stage against the part `last`, {FED}", KERNELS
)
def mprt_last(bench: Bench) -> Pair:
    stages, kind = cascade(bench, top_down=True), Saliency()
    made, found = metric("mprt", stages=len(stages)), []
    for image in bench.images:
        case = bench.case(image, bench.explained(kind, bench.sample(image)), explainer=kind)
        found.append(bench.outcome(made, case).parts["last"])
    return found, mprt_of_quantus(bench, stages, return_last_correlation=True)


@differs(
    "metric",
    "mprt",
    "quantus",
    f"`MPRT`, mean over the stages, top down, {FED}",
    "the peer's mean counts the trained network, of likeness 1, as a stage, for it leaves out the "
    "key `orig` and has stored `original`: without it both are equal",
)
def mprt_mean(bench: Bench) -> Shown:
    stages = cascade(bench, top_down=True)
    own = ours(bench, "mprt", stages=len(stages))
    theirs = mprt_of_quantus(bench, stages, return_average_correlation=True)
    mended = (theirs * (len(stages) + 1) - 1) / len(stages)
    return Shown((own, theirs), near(own, mended, KERNELS))


@agrees("metric", "efficient_mprt", "quantus", f"`EfficientMPRT`, 100 bins, {FED}", 0.01)
def efficient_mprt(bench: Bench) -> Pair:
    """A value on the edge of a bin falls to either side in another kernel."""
    peer, tops = quantus.EfficientMPRT(abs=False, **QUIET), bench.tops(bench.images)
    with fed(bench, cascade(bench, top_down=True)):
        theirs = of_quantus(bench, peer, np.stack(bench.images), tops, softmax=True)
    return ours(bench, "efficient_mprt", bins=100), theirs


@agrees(
    "metric",
    "smooth_mprt",
    "quantus",
    "`SmoothMPRT` of the last stage, bottom up, noise 0, against the part `last`, with "
    f"`explain_func` where it asks Captum instead, {FED}",
    KERNELS,
)
def smooth_mprt(bench: Bench) -> Pair:
    """Without noise, for the last of the peer's samples has none."""
    stages, kind = cascade(bench, top_down=False), Saliency()
    made, found = metric("smooth_mprt", stages=len(stages), samples=2, noise=0.0), []
    for image in bench.images:
        case = bench.case(image, bench.explained(kind, bench.sample(image)), explainer=kind)
        found.append(bench.outcome(made, case).parts["last"])
    with fed(bench, stages), mock.patch("quantus.explain", for_quantus):
        peer = quantus.SmoothMPRT(
            nr_samples=2, noise_magnitude=0.0, abs=True, return_last_correlation=True, **QUIET
        )
        theirs = of_quantus(bench, peer, np.stack(bench.images), bench.tops(bench.images))
    return found, theirs


@agrees(
    "metric",
    "random_logit",
    "quantus",
    "`RandomLogit` by Spearman's correlation, fed the class that Heatproof draws, maps of saliency",
    KERNELS,
)
def random_logit(bench: Bench) -> Pair:
    kind, own, theirs = Saliency(), [], []
    made = metric("random_logit", similarity="spearman")
    peer = quantus.RandomLogit(
        similarity_func=correlation_spearman, num_classes=CLASSES, abs=False, **QUIET
    )
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        sample = bench.sample(image)
        case = bench.case(image, bench.explained(kind, sample), explainer=kind)
        own.append(bench.score(made, case))
        others = [one for one in range(CLASSES) if one != top]
        place = others.index(int(sample.rng("class").choice(others)))
        with mock.patch("numpy.random.randint", return_value=np.array([place])):
            theirs.append(of_quantus(bench, peer, image[None], [top])[0])
    return own, theirs
