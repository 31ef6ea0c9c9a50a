"""ROAD, against readings one image at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import Deletion, RoadCombined, RoadLerf, RoadMorf
from heatproof.evaluators.metrics.faithfulness.shares import SharesMetric
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Outcome
from heatproof.evaluators.queries.targets import Contrast
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black, Layer, LinearImputation
from tests.evaluators.metrics.faithfulness.readings import falling, logit, ranking, squares
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
    softmax,
)

WEIGHTS = np.random.default_rng(11).uniform(-5e-3, 7e-3, (3, SIDE, SIDE))
IMAGE = pixels()
MAP = np.random.default_rng(3).random((SIDE, SIDE))
SHARES = (0.1, 0.29, 0.57, 0.9)
ALL: list[SharesMetric] = [
    RoadMorf(shares=SHARES),
    RoadLerf(shares=SHARES),
    RoadCombined(shares=SHARES),
]


def scored(metric: SharesMetric, attribution: np.ndarray = MAP, **options: object) -> Outcome:
    predictor = linear(WEIGHTS)
    return ask(metric.score(case_of(predictor, IMAGE, attribution, **options)), predictor)  # type: ignore[arg-type]  # options of case_of


def floors(cells: int) -> list[int]:
    """Of the shares in hundredths, without binary fractions."""
    return [cells * hundredths // 100 for hundredths in (10, 29, 57, 90)]


@pytest.mark.parametrize(
    ("metric", "sign", "side"),
    [
        (RoadMorf(shares=SHARES), 1, 1),
        (RoadMorf(regions=Grid(8), shares=SHARES), 1, 4),
        (RoadLerf(regions=Grid(8), shares=SHARES), -1, 4),
    ],
)
def test_scores_are_means_at_the_shares(metric: SharesMetric, sign: int, side: int) -> None:
    labels = squares(side)
    order = ranking(labels, sign * MAP)
    values = falling(linear(WEIGHTS), IMAGE, labels, order, floors(len(order)))
    found = scored(metric)
    # equal float32 logits; the softmax sums in another order
    assert found.score == pytest.approx(np.mean(values), abs=1e-12)
    curve = found.curves[metric.name]
    assert curve.fractions == SHARES
    assert curve.values == pytest.approx(values, abs=1e-12)


def test_the_accuracy_is_the_share_of_points_at_which_the_class_is_on_top() -> None:
    weights = np.abs(WEIGHTS)
    predictor = ToyPredictor(
        lambda image: np.array([(weights * image.astype(np.float64)).sum(), 3.0, 0.0])
    )
    order = ranking(squares(4), MAP)
    said = falling(predictor, IMAGE, squares(4), order, floors(64), read=logit)
    expected = np.mean([value > 3 for value in said])
    assert 0 < expected < 1
    metric = RoadMorf(regions=Grid(8), shares=SHARES)
    assert ask(metric.score(case_of(predictor, IMAGE, MAP)), predictor).parts["accuracy"] == (
        expected
    )
    case = case_of(predictor, IMAGE, MAP)
    object.__setattr__(case.sample, "target", Contrast(2, 1))  # the top class is still 0
    assert ask(metric.score(case), predictor).parts["accuracy"] == expected


def test_imputed_images_are_those_of_the_operator_with_its_noise() -> None:
    removal = LinearImputation(noise=0.1)
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, MAP, removal=removal)
    found = ask(RoadMorf(regions=Grid(8), shares=(0.5,)).score(case), predictor)
    labels = squares(4)
    hidden = np.isin(labels, ranking(labels, MAP)[:32])
    rendered = removal.bind(case.sample.removal_view(removal))(~hidden)
    assert not np.array_equal(rendered, bound(LinearImputation(noise=0.0), IMAGE)(~hidden))
    expected = softmax(predictor._logits(rendered).astype(np.float32))[0]
    assert found.score == pytest.approx(expected, abs=1e-12)


def test_the_operator_of_the_paper_has_a_hundredth_of_noise_unless_told() -> None:
    assert LinearImputation().noise == 0.01


@pytest.mark.parametrize("removal", [Black(), Layer(), LinearImputation(noise=0.0)])
def test_shares_of_a_curve_are_its_points(removal: Black | Layer | LinearImputation) -> None:
    shares = (0.25, 0.5, 0.75)
    predictor = linear(WEIGHTS)
    case = case_of(predictor, IMAGE, MAP, removal=removal)
    deletion = ask(Deletion(4, 4).score(case), predictor).curves["deletion"].values
    road = ask(RoadMorf(regions=Grid(4), shares=shares).score(case), predictor)
    assert road.curves["road_morf"].values == deletion[1:4]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 99))
def test_turning_the_map_over_changes_the_sign_of_the_combination(seed: int) -> None:
    drawn = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    metric = RoadCombined(regions=Grid(4), shares=(0.25, 0.5, 0.75))
    turned, ahead = scored(metric, -drawn).score, scored(metric, drawn).score
    assert isinstance(turned, float)
    assert ahead == -turned


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_scores_lie_in_their_range_and_logits_in_none(metric: SharesMetric) -> None:
    assert scored(metric).score in metric.reduction.range
    assert metric.reduction.range.width == 1
    loose = type(metric)(shares=SHARES, output=Output.LOGIT)
    assert not np.isfinite(loose.reduction.range.width)
    reading = logit
    order = ranking(squares(1), MAP)
    if isinstance(metric, RoadMorf):
        values = falling(linear(WEIGHTS), IMAGE, squares(1), order, floors(1024), read=reading)
        assert scored(loose).score == pytest.approx(np.mean(values), rel=1e-6)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_every_share_is_asked_once(metric: SharesMetric) -> None:
    predictor = linear(WEIGHTS, own=facts(batch_size=1))
    case = case_of(predictor, IMAGE, MAP)
    before = len(predictor.batches)
    ask(metric.score(case), predictor)
    assert len(predictor.batches) - before == metric.cost(case).views


@pytest.mark.parametrize("shares", [(), (0.5, 0.5), (0.5, 0.1)])
def test_shares_that_do_not_ascend_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        RoadMorf(shares=shares).check(planned(facts(), Black()))
    assert caught.value.field == "shares"


def test_pixels_are_refused_where_they_close_again_inside_the_network() -> None:
    RoadMorf(regions=Grid(4)).check(planned(facts(), Layer()))
    with pytest.raises(InvalidArgumentError, match="choose patches") as caught:
        RoadMorf().check(planned(facts(), Layer()))
    assert caught.value.field == "regions.pixels"


def test_points_without_coverage_are_counted() -> None:
    metric = RoadMorf(regions=Grid(4), shares=(0.5, 1.0))
    assert scored(metric, removal=Layer()).parts["n_zero_coverage"] == 1
    assert scored(metric).parts["n_zero_coverage"] == 0
