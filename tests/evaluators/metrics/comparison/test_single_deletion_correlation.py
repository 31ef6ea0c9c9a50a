import numpy as np
import pytest
from scipy.stats import spearmanr

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import Metric, SingleDeletionCorrelation
from heatproof.evaluators.metrics.metric import Cost
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from heatproof.evaluators.regions import Grid, Quickshift, Segmentation, Slic
from heatproof.evaluators.removal import Black, Grey, Layer, RemovalOperator
from tests.evaluators.toys import (
    SIDE,
    ToyPredictor,
    ask,
    bound,
    case_of,
    facts,
    linear,
    pixels,
    planned,
)

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
KINDS = (Grid(5), Slic(segments=9, compactness=100.0), Quickshift(kernel=2.0, distance=10.0))
METRIC = SingleDeletionCorrelation(regions=Grid(4))


def effects(image: np.ndarray) -> np.ndarray:
    """What each pixel of a linear model adds to its logit over black."""
    summed: np.ndarray = (WEIGHTS * image.astype(np.float64)).sum(axis=0)
    return summed


def scored(
    attribution: np.ndarray,
    metric: Metric = METRIC,
    removal: RemovalOperator | None = None,
    predictor: ToyPredictor | None = None,
) -> Outcome:
    predictor = predictor or linear(WEIGHTS)
    case = case_of(predictor, pixels(), attribution, removal=removal)
    return ask(metric.score(case), predictor)


def reason(outcome: Outcome) -> Reason:
    assert isinstance(outcome.score, Undefined)
    return outcome.score.reason


def test_the_effects_of_an_additive_model_rank_as_its_drops_and_their_negative_against() -> None:
    made = effects(pixels())
    assert scored(made).score == pytest.approx(1, abs=1e-12)
    assert scored(-made).score == pytest.approx(-1, abs=1e-12)
    regions = Grid(4).regions(pixels())
    bent = np.exp(3 * regions.spread(regions.means(made)))  # only the ranks count
    assert scored(bent).score == pytest.approx(1, abs=1e-12)


def test_a_swap_of_two_neighbours_costs_what_spearman_says() -> None:
    """`1 - 6 sum d^2 / (n (n^2 - 1))`, with two ranks one apart."""
    regions = Grid(4).regions(pixels())
    drops = regions.sums(effects(pixels()))
    ranks = np.argsort(np.argsort(drops)).astype(np.float64)
    low, high = np.flatnonzero(ranks == 7)[0], np.flatnonzero(ranks == 8)[0]
    ranks[low], ranks[high] = 8, 7
    expected = 1 - 6 * 2 / (16 * (16**2 - 1))
    assert scored(regions.spread(ranks)).score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_the_score_is_spearmans_correlation_written_out(kind: Segmentation) -> None:
    predictor, image = linear(WEIGHTS), pixels()
    made = pixels(3)[0].astype(np.float64)
    labels, render = kind.regions(image).labels, bound(Grey(), image)
    clean = np.float32(predictor._logits(image)[0])
    means, drops = [], []
    assert labels.max() > 4
    for cell in range(labels.max() + 1):
        means.append(made[labels == cell].mean())
        drops.append(float(clean) - float(np.float32(predictor._logits(render(labels != cell))[0])))
    found = scored(made, SingleDeletionCorrelation(regions=kind), Grey())
    assert found.score == pytest.approx(spearmanr(means, drops).statistic, abs=1e-9)
    assert found.parts == {"n_zero_coverage": 0.0}


def test_the_cost_is_a_bound_of_what_is_asked() -> None:
    for kind in KINDS:
        predictor, metric = linear(WEIGHTS), SingleDeletionCorrelation(regions=kind)
        case = case_of(predictor, pixels(), effects(pixels()))
        asked = len(predictor.batches)
        ask(metric.score(case), predictor)
        rows = (len(predictor.batches) - asked) * predictor.facts.batch_size
        assert isinstance(metric.cost(case), Cost)
        assert rows <= metric.cost(case).views + predictor.facts.batch_size


def test_a_constant_side_has_a_status() -> None:
    assert reason(scored(np.full((SIDE, SIDE), 0.3))) is Reason.DEGENERATE
    counting = ToyPredictor(lambda image: np.array([3.0, 0, 0]) + 0 * image.sum())
    assert reason(scored(effects(pixels()), predictor=counting)) is Reason.NO_PLACE_EFFECT


def test_small_regions_are_refused_to_layer_masking_before_and_small_segments_after() -> None:
    for kind, field in (
        (Grid(3), "regions.grid.side"),
        (Slic(segments=5), "regions.slic.segments"),
    ):
        SingleDeletionCorrelation(regions=kind).check(planned(facts(), Black()))
        with pytest.raises(InvalidArgumentError, match="vanish inside the network") as caught:
            SingleDeletionCorrelation(regions=kind).check(planned(facts(), Layer()))
        assert caught.value.field == field
    metric = SingleDeletionCorrelation(regions=Quickshift(kernel=2.0, distance=10.0))
    metric.check(planned(facts(), Layer()))
    found = scored(effects(pixels()), metric, Layer())
    assert reason(found) is Reason.NO_PLACE_EFFECT
    assert isinstance(found.score, Undefined)
    assert "vanish inside the network with layer" in found.score.detail
    coarse = scored(effects(pixels()), SingleDeletionCorrelation(regions=Grid(2)), Layer())
    assert isinstance(coarse.score, float)
