"""Where a map points, beside Quantus'."""

from dataclasses import replace

import numpy as np
import quantus

from heatproof.evaluators.explainers import Saliency
from heatproof.evaluators.metrics import Case
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation
from heatproof.evaluators.queries.targets import FixedClass
from tests.peers.bench import Bench, metric
from tests.peers.comparing import Pair, agrees
from tests.peers.inputs import SIDE

QUIET = {"disable_warnings": True, "abs": False, "normalise": False}
EXACT = 1e-9
_LABEL = 1


def both(
    bench: Bench, name: str, peer: object, maps: list[np.ndarray], **parameters: object
) -> Pair:
    """Heatproof's scores and those of a metric of Quantus, of all images."""
    made = metric(name, **parameters)
    ours = [
        bench.score(made, bench.case(image, own, objects=mask))
        for image, own, mask in zip(bench.images, maps, bench.objects, strict=True)
    ]
    theirs = peer(
        model=bench.network,
        x_batch=np.stack(bench.images),
        y_batch=np.array(bench.tops(bench.images)),
        a_batch=np.stack(maps)[:, None].copy(),
        s_batch=np.stack(bench.objects)[:, None],
        channel_first=True,
    )
    return ours, np.asarray(theirs, np.float64)


@agrees("metric", "pointing_game", "quantus", "`PointingGame`, tolerance 0, maps without ties")
def pointing_game(bench: Bench) -> Pair:
    peer = quantus.PointingGame(**QUIET)
    return both(bench, "pointing_game", peer, bench.maps, tolerance=0.0)


@agrees(
    "metric",
    "attribution_localization",
    "quantus",
    "`AttributionLocalisation`, `positive_attributions`",
    1e-7,
)
def attribution_localization(bench: Bench) -> Pair:
    peer = quantus.AttributionLocalisation(positive_attributions=True, **QUIET)
    return both(bench, "attribution_localization", peer, bench.maps)


MASS = "`RelevanceMassAccuracy` of positive maps, for it does not cut off negative values"


@agrees("metric", "relevance_mass_accuracy", "quantus", MASS, EXACT)
def relevance_mass_accuracy(bench: Bench) -> Pair:
    peer = quantus.RelevanceMassAccuracy(**QUIET)
    return both(bench, "relevance_mass_accuracy", peer, bench.positive_maps)


@agrees("metric", "energy_pointing_game", "quantus", MASS, EXACT)
def energy_pointing_game(bench: Bench) -> Pair:
    peer = quantus.RelevanceMassAccuracy(**QUIET)
    return both(bench, "energy_pointing_game", peer, bench.positive_maps)


@agrees("metric", "relevance_rank_accuracy", "quantus", "`RelevanceRankAccuracy`", EXACT)
def relevance_rank_accuracy(bench: Bench) -> Pair:
    peer = quantus.RelevanceRankAccuracy(**QUIET)
    return both(bench, "relevance_rank_accuracy", peer, bench.maps)


@agrees("metric", "top_k_intersection", "quantus", "`TopKIntersection`, 200 pixels", EXACT)
def top_k_intersection(bench: Bench) -> Pair:
    peer = quantus.TopKIntersection(k=200, **QUIET)
    return both(bench, "top_k_intersection", peer, bench.maps, k=200)


@agrees(
    "metric",
    "concept_influence",
    "quantus",
    "`TopKIntersection`, `concept_influence`, 200 pixels",
    EXACT,
)
def concept_influence(bench: Bench) -> Pair:
    peer = quantus.TopKIntersection(k=200, concept_influence=True, **QUIET)
    return both(bench, "concept_influence", peer, bench.maps, k=200)


@agrees("metric", "localization_auc", "quantus", "`AUC`", EXACT)
def localization_auc(bench: Bench) -> Pair:
    return both(bench, "localization_auc", quantus.AUC(**QUIET), bench.maps)


@agrees("metric", "focus", "quantus", "`Focus` fed Heatproof's mosaics and their maps", 1e-7)
def focus(bench: Bench) -> Pair:
    kind, peer, ours, theirs = Saliency(), quantus.Focus(**QUIET), [], []
    for place in range(len(bench.images)):
        case = _labelled(bench, place)
        found, asked = bench.spied(metric("focus"), case)
        mosaic = next(one.image.draw() for one in asked if "mosaic" in one.image.key)
        sample = replace(bench.sample(mosaic), target=FixedClass(_LABEL))
        made = bench.explained(kind, sample)
        tiles = case.sample.rng("donor/places").permutation(4)[:2]
        answer = peer(
            model=bench.network,
            x_batch=mosaic[None].copy(),
            y_batch=np.array([_LABEL]),
            a_batch=made[None, None].copy(),
            custom_batch=[tuple(int(one in tiles) for one in range(4))],
            channel_first=True,
        )
        ours.append(found.score)
        theirs.append(float(np.asarray(answer)[0]))
    return ours, theirs


def _labelled(bench: Bench, place: int) -> Case:
    """An image with one donor of its label and two of others."""
    others = [bench.images[(place + step) % len(bench.images)] for step in (1, 2, 3)]
    same, *rest = (Donation(f"{step:064x}", LazyImage.of(one)) for step, one in enumerate(others))
    case = bench.case(bench.images[place], explainer=Saliency())
    sample = replace(
        case.sample, label=_LABEL, same_label_donors=(same,), other_label_donors=tuple(rest)
    )
    return replace(case, given=replace(case.given, sample=sample, label=_LABEL))


@agrees(
    "metric",
    "dasgupta_consistency",
    "quantus",
    "`Consistency` with the highest of 8 x 8 cells as code, over eight images of two classes, the "
    "mean of those that have partners",
    1e-6,
)
def dasgupta_consistency(bench: Bench) -> Pair:
    """Half the images are darkened, which changes their class, and maps are shared unevenly."""
    images = [*bench.images, *(np.float32(0.1) * image for image in bench.images)]
    maps = [bench.maps[place] for place in (0, 0, 0, 1, 0, 1, 1, 2)]
    made, codes, classes = metric("dasgupta_consistency", grid=8), [], []
    for image, own in zip(images, maps, strict=True):
        found = bench.outcome(made, bench.case(image, own))
        codes.append(found.score)
        classes.append(found.parts["predicted_class"])
    assert len(set(classes)) > 1
    parts = {"predicted_class": np.array(classes)}
    ours = made.reduction.contrast(np.array(codes), parts).estimate()
    peer = quantus.Consistency(discretise_func=_highest_cell, **QUIET)
    shares = peer(
        model=bench.network,
        x_batch=np.stack(images),
        y_batch=np.array(classes, np.int64),
        a_batch=np.stack(maps)[:, None].copy(),
        channel_first=True,
    )
    partnered = [codes.count(code) > 1 for code in codes]
    return [ours], [np.asarray(shares, np.float64)[partnered].mean()]


@agrees(
    "metric",
    "dasgupta_sufficiency",
    "quantus",
    "`Sufficiency` with `seuclidean`, over eight images of two classes in one batch, maps constant "
    "within 8 x 8 cells, the mean of those that have near ones",
    1e-6,
)
def dasgupta_sufficiency(bench: Bench) -> Pair:
    """Half the images are darkened, which changes their class; maps are blends of three."""
    images = [*bench.images, *(np.float32(0.1) * image for image in bench.images)]
    weights = np.random.default_rng(0).dirichlet(np.ones(3), len(images))
    blended = [sum(w * bench.maps[k] for k, w in enumerate(row)) for row in weights]
    side = SIDE // 8
    cells = [held.reshape(8, side, 8, side).mean(axis=(1, 3)) for held in map(np.asarray, blended)]
    maps = [np.kron(held, np.ones((side, side))) for held in cells]
    made = metric("dasgupta_sufficiency", grid=8)
    found = [bench.outcome(made, bench.case(i, m)) for i, m in zip(images, maps, strict=True)]
    classes = np.array([one.score for one in found])
    parts = {name: np.array([one.parts[name] for one in found]) for name in made.reduction.parts}
    contrast = made.reduction.contrast(classes, parts)
    assert len(set(classes.tolist())) > 1
    shares = quantus.Sufficiency(threshold=0.6, distance_func="seuclidean", **QUIET)(
        model=bench.network,
        x_batch=np.stack(images),
        y_batch=classes.astype(np.int64),
        a_batch=np.stack(maps)[:, None].copy(),
        channel_first=True,
    )
    partnered = contrast.arms[0].scored
    return [contrast.estimate()], [np.asarray(shares, np.float64)[partnered].mean()]


def _highest_cell(flat: np.ndarray) -> int:
    side = SIDE // 8
    return int(flat.reshape(8, side, 8, side).mean(axis=(1, 3)).argmax())
