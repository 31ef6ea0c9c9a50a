"""How alike two maps are, beside the similarities of Quantus, SciPy and scikit-learn."""

import numpy as np
from quantus.functions import similarity_func
from skimage.metrics import structural_similarity
from sklearn.metrics import ndcg_score

from heatproof.evaluators.explainers import Supplied
from heatproof.evaluators.metrics.functions.distances import unit_scaled
from tests.peers.bench import Bench, metric
from tests.peers.comparing import Pair, Shown, agrees, differs, near
from tests.peers.inputs import SIDE

EXACT = 1e-9
GRID = 8


def ours(bench: Bench, name: str, **parameters: object) -> list[float]:
    """Heatproof's scores of each map against the next image's."""
    made, found = metric(name, other=Supplied("other"), **parameters), []
    for place, image in enumerate(bench.images):
        case = bench.case(image, bench.maps[place])
        found.append(bench.score(made, bench.with_map(case, "other", _other(bench, place))))
    return found


def _other(bench: Bench, place: int) -> np.ndarray:
    return 0.5 * bench.maps[place] + bench.maps[(place + 1) % len(bench.maps)]


def pairs(bench: Bench) -> list[tuple[np.ndarray, np.ndarray]]:
    """The maps that are compared, flat."""
    return [
        (made.reshape(-1), _other(bench, place).reshape(-1))
        for place, made in enumerate(bench.maps)
    ]


def cells(made: np.ndarray) -> np.ndarray:
    """Means over the cells of a grid."""
    side = SIDE // GRID
    return made.reshape(GRID, side, GRID, side).mean(axis=(1, 3)).reshape(-1)


@agrees("metric", "agreement_spearman", "quantus", "`correlation_spearman`", EXACT)
def spearman(bench: Bench) -> Pair:
    theirs = [similarity_func.correlation_spearman(*pair) for pair in pairs(bench)]
    return ours(bench, "agreement_spearman"), theirs


@agrees("metric", "agreement_pearson", "quantus", "`correlation_pearson`", EXACT)
def pearson(bench: Bench) -> Pair:
    theirs = [similarity_func.correlation_pearson(*pair) for pair in pairs(bench)]
    return ours(bench, "agreement_pearson"), theirs


@agrees("metric", "agreement_cosine", "quantus", "1 - `cosine`, which is a distance", EXACT)
def cosine(bench: Bench) -> Pair:
    theirs = [1 - similarity_func.cosine(*pair) for pair in pairs(bench)]
    return ours(bench, "agreement_cosine"), theirs


@agrees(
    "metric", "agreement_kendall", "quantus", "`correlation_kendall_tau` over 8 x 8 cells", EXACT
)
def kendall(bench: Bench) -> Pair:
    coarse = [[cells(side.reshape(SIDE, SIDE)) for side in pair] for pair in pairs(bench)]
    theirs = [similarity_func.correlation_kendall_tau(*pair) for pair in coarse]
    return ours(bench, "agreement_kendall", grid=GRID), theirs


@agrees(
    "metric",
    "agreement_ndcg",
    "scikit-learn",
    "`ndcg_score` of the positive part over 8 x 8 cells",
    EXACT,
)
def ndcg(bench: Bench) -> Pair:
    coarse = [[cells(side.reshape(SIDE, SIDE)) for side in pair] for pair in pairs(bench)]
    theirs = [ndcg_score([np.maximum(gain, 0)], [order]) for order, gain in coarse]
    return ours(bench, "agreement_ndcg", grid=GRID), theirs


def _square(bench: Bench) -> list[float]:
    """scikit-image's similarity of all windows of the maps, each scaled to [0, 1]."""
    options = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 1.0}
    scaled = [[unit_scaled(side.reshape(SIDE, SIDE)) for side in pair] for pair in pairs(bench)]
    return [structural_similarity(*pair, full=True, **options)[1].mean() for pair in scaled]


@agrees(
    "metric",
    "agreement_ssim",
    "scikit-image",
    "`structural_similarity` with Gaussian windows, borders too, maps scaled to [0, 1]",
    1e-7,
)
def ssim(bench: Bench) -> Pair:
    return ours(bench, "agreement_ssim"), _square(bench)


@differs(
    "metric",
    "agreement_ssim",
    "quantus",
    "`ssim`, as its metrics ask for it",
    "the peer's metrics hand it flat maps, so that a window is 7 values of a line, over the range "
    "of both maps together: scikit-image asked for that gives its number, for windows of the map "
    "Heatproof's",
)
def ssim_of_quantus(bench: Bench) -> Shown:
    own, flat = ours(bench, "agreement_ssim"), []
    theirs = [similarity_func.ssim(*pair) for pair in pairs(bench)]
    for pair in pairs(bench):
        spread = float(np.ptp(np.concatenate(pair)))
        flat.append(structural_similarity(*pair, win_size=7, data_range=spread))
    return Shown((own, theirs), near(flat, theirs, EXACT) and near(own, _square(bench), 1e-7))
