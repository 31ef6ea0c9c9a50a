"""Where a map points, beside Quantus'."""

import numpy as np
import quantus

from tests.peers.bench import Bench, metric
from tests.peers.comparing import Pair, agrees

QUIET = {"disable_warnings": True, "abs": False, "normalise": False}
EXACT = 1e-9


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
