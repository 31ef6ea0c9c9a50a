"""Correlations of masses with effects, beside Quantus' and Captum's."""

from collections.abc import Iterator
from typing import TypeAlias
from unittest import mock

import numpy as np
import quantus
import torch
from captum.metrics import infidelity as captum_infidelity

from heatproof.evaluators.metrics import Metric
from heatproof.evaluators.outcomes import Outcome
from heatproof.evaluators.queries.procedure import MaskedView
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black, OwnMin
from tests.peers.bench import Bench, OneChannel, metric
from tests.peers.comparing import Pair, Shown, agrees, differs, near
from tests.peers.inputs import SIDE

Drawn: TypeAlias = tuple[Outcome, list[np.ndarray]]

QUIET = {"disable_warnings": True, "abs": False, "normalise": False}


@differs(
    "metric",
    "sensitivity_n",
    "quantus",
    "`SensitivityN` on one channel, 64 pixels a step, own minimum",
    "the peer removes cumulatively, most salient first, and correlates over the images of a batch, "
    "step by step: a reading of that, written out, gives its numbers",
)
def sensitivity_n(bench: Bench) -> Shown:
    step = 64
    peer, model = (
        quantus.SensitivityN(features_in_step=step, return_aggregate=False, **QUIET),
        OneChannel(bench.network),
    )
    tops = bench.tops(bench.greys)
    theirs = peer(
        model=model,
        x_batch=np.stack(bench.greys)[:, :1].copy(),
        y_batch=np.array(tops),
        a_batch=np.stack(bench.maps)[:, None].copy(),
        channel_first=True,
        softmax=True,
    )
    steps = list(_cumulative(bench, tops, step))
    written = [np.corrcoef(*np.transpose(pairs))[0, 1] for pairs in steps[: len(theirs)]]
    made = metric("sensitivity_n", regions=Grid(SIDE), subsets=20, output="probability")
    ours = [
        bench.score(made, bench.case(image, own, removal=OwnMin()))
        for image, own in zip(bench.greys, bench.maps, strict=True)
    ]
    theirs = np.asarray(theirs)
    return Shown(([np.mean(ours)], [theirs.mean()]), near(written, theirs, 1e-4))


def _cumulative(bench: Bench, tops: list[int], step: int) -> Iterator[list[tuple[float, float]]]:
    """At each step: drop and mass of the step, an image a pair."""
    orders = [np.argsort(-made.reshape(-1)) for made in bench.maps]
    shown = [image.copy().reshape(3, -1) for image in bench.greys]
    clean = bench.probabilities(np.stack(bench.greys))
    for start in range(0, SIDE * SIDE, step):
        pairs = []
        for place, order in enumerate(orders):
            hidden = order[start : start + step]
            shown[place][:, hidden] = bench.greys[place].min()
            answer = bench.probabilities(shown[place].reshape(1, 3, SIDE, SIDE))[0]
            mass = bench.maps[place].reshape(-1)[hidden].sum()
            pairs.append((clean[place, tops[place]] - answer[tops[place]], mass))
        yield pairs


def hidden_sets(bench: Bench, made: Metric, image: np.ndarray, own: np.ndarray) -> Drawn:
    """Heatproof's outcome of an image, and the pixels that it removed in each view."""
    case = bench.case(image, own, removal=OwnMin())
    found, asked = bench.spied(made, case)
    masks = [one.mask for one in asked if isinstance(one, MaskedView) and one.mask is not None]
    return found, [np.flatnonzero(~mask) for mask in masks]


def of_quantus(bench: Bench, peer: object, image: np.ndarray, own: np.ndarray, top: int) -> float:
    """What a metric of Quantus says of one channel of an image, by probabilities."""
    found = peer(
        model=OneChannel(bench.network),
        x_batch=image[None, :1].copy(),
        y_batch=np.array([top]),
        a_batch=own[None, None].copy(),
        channel_first=True,
        softmax=True,
    )
    return float(np.asarray(found).reshape(-1)[0])


def triples(bench: Bench) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Each grey image, its map and its top class."""
    yield from zip(bench.greys, bench.maps, bench.tops(bench.greys), strict=True)


ONE_CHANNEL = "on one channel, every pixel, own minimum"


@agrees(
    "metric",
    "faithfulness_correlation",
    "quantus",
    f"`FaithfulnessCorrelation` fed Heatproof's subsets, {ONE_CHANNEL}",
)
def faithfulness_correlation(bench: Bench) -> Pair:
    made, ours, theirs = metric("faithfulness_correlation", regions=Grid(SIDE), subsets=50), [], []
    for image, own, top in triples(bench):
        found, subsets = hidden_sets(bench, made, image, own)
        peer = quantus.FaithfulnessCorrelation(
            nr_runs=len(subsets), subset_size=len(subsets[0]), return_aggregate=False, **QUIET
        )
        with mock.patch("numpy.random.choice", side_effect=subsets):
            theirs.append(of_quantus(bench, peer, image, own, top))
        ours.append(found.score)
    return ours, theirs


def singles(bench: Bench, name: str, peer: object, **parameters: object) -> Pair:
    """Every pixel of half the images alone, by both."""
    made, ours, theirs = metric(name, regions=Grid(SIDE), **parameters), [], []
    for image, own, top in list(triples(bench))[:2]:
        ours.append(bench.score(made, bench.case(image, own, removal=OwnMin())))
        theirs.append(of_quantus(bench, peer, image, own, top))
    return ours, theirs


@agrees("metric", "faithfulness_estimate", "quantus", f"`FaithfulnessEstimate` {ONE_CHANNEL}")
def faithfulness_estimate(bench: Bench) -> Pair:
    peer = quantus.FaithfulnessEstimate(features_in_step=1, **QUIET)
    return singles(bench, "faithfulness_estimate", peer)


@agrees(
    "metric",
    "monotonicity_correlation",
    "quantus",
    f"`MonotonicityCorrelation` {ONE_CHANNEL}, one draw",
    1e-3,
)
def monotonicity_correlation(bench: Bench) -> Pair:
    """Ranks of nearly equal effects fall otherwise in another kernel."""
    options = {**QUIET, "abs": True}
    peer = quantus.MonotonicityCorrelation(
        nr_samples=1, features_in_step=1, perturb_baseline="black", **options
    )
    return singles(bench, "monotonicity_correlation", peer)


@agrees(
    "metric",
    "non_sensitivity",
    "quantus",
    f"`NonSensitivity` over the pixels, {ONE_CHANNEL}, eps 0.001",
    2e-3,
)
def non_sensitivity(bench: Bench) -> Pair:
    """An effect next to eps falls to either side in another kernel: two pixels of a thousand."""
    options = {**QUIET, "abs": True, "normalise": True}
    peer = quantus.NonSensitivity(eps=1e-3, features_in_step=1, **options)
    ours, counts = singles(bench, "non_sensitivity", peer, eps=1e-3)
    return ours, np.asarray(counts) / SIDE**2


@agrees(
    "metric",
    "infidelity",
    "captum",
    "`infidelity` normalized, over the mean square of the effects, fed Heatproof's squares, black",
)
def infidelity(bench: Bench) -> Pair:
    """The map is shared between the channels, for the peer sums attributions over them."""
    made, ours, theirs = metric("infidelity", grid=8, subsets=40), [], []
    for image, own, top in zip(bench.images, bench.maps, bench.tops(bench.images), strict=True):
        found, asked = bench.spied(made, bench.case(image, own, removal=Black()))
        hidden = np.stack([~one.mask for one in asked if one.mask is not None])
        removed = torch.from_numpy(np.repeat(hidden[:, None], 3, axis=1).astype(np.float32))
        value = captum_infidelity(
            bench.network,
            lambda x, removed=removed: (removed, x * (1 - removed)),
            torch.from_numpy(image[None].copy()),
            torch.from_numpy(np.repeat(own[None, None], 3, axis=1).astype(np.float32)) / 3,
            target=top,
            n_perturb_samples=len(hidden),
            normalize=True,
        )
        answers = bench.logits(np.where(hidden[:, None], np.float32(0), image))[:, top]
        effects = bench.logits(image[None])[0, top] - answers
        ours.append(found.score)
        theirs.append(float(value[0]) / float((effects**2).mean()))
    return ours, theirs
