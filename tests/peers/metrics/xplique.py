"""Beside what Xplique said in its own environment; `xplique_values.py` writes that."""

import json

import cv2
import numpy as np
import torch

from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.regions import Grid
from tests.peers.bench import Bench, explainer, metric
from tests.peers.comparing import (
    DRAWS,
    ERRORS,
    Pair,
    Shown,
    agrees,
    agrees_in_mean,
    differs,
    near,
    standard_errors,
)
from tests.peers.explainers.gradient import cells
from tests.peers.inputs import SIDE, noise
from tests.peers.journal import XPLIQUE
from tests.peers.metrics.confidence import heat
from tests.peers.metrics.robustness import saliency

STORED = json.loads(XPLIQUE.read_text(encoding="utf-8"))
STEPS, GRID, MASKS, RADIUS = 16, 8, 100, 0.1


def ours(bench: Bench, name: str, maps: list[np.ndarray], **parameters: object) -> list[float]:
    """Heatproof's scores, black."""
    made = metric(name, **parameters)
    pairs = zip(bench.images, maps, strict=True)
    return [bench.score(made, bench.case(image, own)) for image, own in pairs]


PIXELWISE = "every pixel, 16 steps, black, probabilities"


@agrees("metric", "deletion", "xplique", f"`Deletion`, {PIXELWISE}")
def deletion(bench: Bench) -> Pair:
    return ours(bench, "deletion", bench.maps, grid=SIDE, steps=STEPS), STORED["deletion"]


@agrees("metric", "insertion", "xplique", f"`Insertion`, {PIXELWISE}")
def insertion(bench: Bench) -> Pair:
    return ours(bench, "insertion", bench.maps, grid=SIDE, steps=STEPS), STORED["insertion"]


POSITIVE = "of positive maps, black, probabilities"


@agrees("metric", "average_drop", "xplique", f"`AverageDropMetric` {POSITIVE}")
def average_drop(bench: Bench) -> Pair:
    """An image's own ratio; the score of a data set is the ratio of the sums."""
    drops = ours(bench, "average_drop", bench.positive_maps)
    return drops, STORED["average_drop"][: len(drops)]


TWO_CLASSES = "of positive maps, black, probabilities, of a class that loses and one that gains"


@agrees("metric", "increase_in_confidence", "xplique", f"`AverageIncreaseMetric` {TWO_CLASSES}")
def increase_in_confidence(bench: Bench) -> Pair:
    return of_two_classes(bench, "increase_in_confidence"), STORED["increase_in_confidence"]


@agrees("metric", "average_gain", "xplique", f"`AverageGainMetric` {TWO_CLASSES}")
def average_gain(bench: Bench) -> Pair:
    return of_two_classes(bench, "average_gain"), STORED["average_gain"]


def of_two_classes(bench: Bench, name: str) -> list[float]:
    """Heatproof's scores of the top class of each image, then of that of each masked image."""
    made, maps = metric(name), bench.positive_maps
    masked = [image * heat(own) for image, own in zip(bench.images, maps, strict=True)]
    tops = [bench.tops(bench.images), bench.tops([one.astype(np.float32) for one in masked])]
    return [
        bench.score(made, bench.case(image, own, target=top))
        for classes in tops
        for image, own, top in zip(bench.images, maps, classes, strict=True)
    ]


@agrees("metric", "complexity", "xplique", "`Complexity`, which adds 1e-8 to every share", 1e-4)
def complexity(bench: Bench) -> Pair:
    return ours(bench, "complexity", bench.maps), STORED["complexity"]


@agrees("metric", "sparseness", "xplique", "`Sparseness`, which adds 1e-5 to every value", 1e-3)
def sparseness(bench: Bench) -> Pair:
    return ours(bench, "sparseness", bench.maps), STORED["sparseness"]


@differs(
    "metric",
    "average_stability",
    "xplique",
    "`AverageStability` of saliency, radius 0.1",
    "the peer's noise lies in [0, radius], and it compares maps as they are, whatever their unit "
    "and number of pixels: a reading of that, written out, gives its number",
)
def average_stability(bench: Bench) -> Shown:
    kind, found, written = Saliency(), [], []
    for image, top in zip(bench.images, bench.tops(bench.images), strict=True):
        own = bench.explained(kind, bench.sample(image))
        case = bench.case(image, own, explainer=kind)
        found.append(bench.score(metric("average_stability", radius=RADIUS, draws=4), case))
        moved = torch.from_numpy(image[None] + noise(RADIUS, 4))
        maps = saliency(bench.network, moved, top).double().numpy()
        written.append(np.linalg.norm((maps - own).reshape(4, -1), axis=1).mean())
    theirs = STORED["average_stability"]
    holds = near([np.mean(written)], [theirs], 1e-4 * theirs)
    return Shown(([np.mean(found)], [theirs]), holds)


@agrees_in_mean(
    "metric",
    "mu_fidelity",
    "xplique",
    "`MuFidelity`, 8 x 8 cells, 100 samples, black, 200 draws",
)
def mu_fidelity(bench: Bench) -> Pair:
    made = metric("mu_fidelity", regions=Grid(GRID), subsets=MASKS)
    found = [
        bench.score(made, bench.case(bench.images[0], bench.maps[0], seed=seed))
        for seed in range(DRAWS)
    ]
    return np.array(found)[:, None], np.array(STORED["mu_fidelity"])[:, None]


@differs(
    "explainer",
    "rise",
    "xplique",
    "`Rise`, 7 x 7 cells, 100 masks, means over 16 cells of 200 draws",
    "the peer stretches its 7 x 7 cells over 8/7 of the image where the authors and Heatproof make "
    "them 1/7 of it, shifts the masks of a batch together, and divides by the sum of the masks: a "
    "reading of that, written out, has its mean within four standard errors",
)
def rise(bench: Bench) -> Shown:
    made, (image, *_), theirs = (
        explainer("rise", masks=MASKS, grid=7, visible_probability=0.5),
        bench.images,
        np.array(STORED["rise"]),
    )
    found = [cells(bench.explained(made, bench.sample(image, seed=seed))) for seed in range(DRAWS)]
    written = [_rise(bench, image, np.random.default_rng(seed)) for seed in range(DRAWS)]
    holds = standard_errors(np.stack(written), theirs) <= ERRORS
    return Shown((np.mean(found, axis=0), theirs.mean(axis=0)), holds)


def _rise(bench: Bench, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    large, total, masses = int(SIDE * (1 + 1 / 7)), np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    (top,) = bench.tops([image])
    coarse = (rng.random((MASKS, 7, 7)) < 0.5).astype(np.float32)
    for start in range(0, MASKS, 32):
        down, across = rng.integers(large - SIDE + 1, size=2)
        batch = np.stack([cv2.resize(one, (large, large)) for one in coarse[start : start + 32]])
        masks = batch[:, down : down + SIDE, across : across + SIDE]
        scores = bench.probabilities(image * masks[:, None])[:, top]
        total += np.tensordot(scores, masks, axes=1)
        masses += masks.sum(axis=0)
    return cells(total / (masses + 1e-4))
