"""Correlations of attributions with the effects of removing subsets of the regions."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    Metric,
    MonotonicityCorrelation,
    MuFidelity,
    NonSensitivity,
    Saco,
    SensitivityN,
    SingleDeletionCorrelation,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.queries.procedure import LazyImage
from heatproof.evaluators.queries.sample import Donation
from heatproof.evaluators.queries.seeds import generator
from heatproof.evaluators.regions import Grid, Quickshift, Segmentation, Slic
from heatproof.evaluators.removal import (
    Black,
    Donor,
    Layer,
    LinearImputation,
    Neighbourhood,
    Noise,
    RemovalOperator,
)
from heatproof.evaluators.removal.neighbourhood import Statistic
from tests.evaluators.metrics.faithfulness.subset_fidelity.additive import (
    MADE,
    WEIGHTS,
    cells,
    drop,
    effects,
    reason,
    scored,
)
from tests.evaluators.toys import SIDE, ToyPredictor, ask, case_of, facts, linear, pixels, planned

LOGIT = Output.LOGIT
SIZED: tuple[Metric, ...] = (
    FaithfulnessCorrelation(regions=Grid(8), subsets=30, output=LOGIT),
    SensitivityN(regions=Grid(8), sizes=(0.05, 0.3), subsets=12),
    FaithfulnessEstimate(regions=Grid(4), output=LOGIT),
    SingleDeletionCorrelation(regions=Grid(4)),
    Saco(regions=Grid(8), groups=8, output=LOGIT),
)
"""Those whose subsets have equal areas here, so that a constant added to a map changes nothing."""
SIGNED: tuple[Metric, ...] = (*SIZED, MuFidelity(regions=Grid(8), subsets=30, output=LOGIT))
ALL: tuple[Metric, ...] = (
    *SIGNED,
    MonotonicityCorrelation(regions=Grid(4)),
    NonSensitivity(regions=Grid(4)),
)


@pytest.mark.parametrize("metric", SIGNED, ids=lambda one: one.name)
def test_the_effects_of_an_additive_model_score_1_and_their_negative_less(metric: Metric) -> None:
    made = effects(pixels())
    # Logits are float32 of some units, drops some hundredths.
    assert scored(metric, made).score == pytest.approx(1, abs=1e-6)
    assert scored(metric, -made).score == pytest.approx(-1, abs=1e-6)


@settings(max_examples=5, deadline=None)
@given(st.floats(0.1, 9), st.floats(-3, 3))
def test_scale_and_shift_of_equal_cells_change_nothing(scale: float, shift: float) -> None:
    for metric in SIZED:
        base = scored(metric, MADE).score
        assert scored(metric, scale * MADE + shift).score == pytest.approx(base, abs=1e-9)


def test_faithfulness_correlation_is_pearsons_over_random_sets_of_one_size() -> None:
    case, numbers = case_of(linear(WEIGHTS), pixels(), MADE), cells(8)
    sums, drops = [], []
    for index in range(20):
        chosen = case.sample.rng(f"subsets/6/{index}").choice(64, 6, replace=False)
        hidden = np.isin(numbers, chosen)
        sums.append(MADE[hidden].sum())
        drops.append(drop(hidden))
    found = scored(FaithfulnessCorrelation(regions=Grid(8), subsets=20), MADE)
    assert found.score == pytest.approx(pearsonr(sums, drops).statistic, abs=1e-9)
    assert found.parts == {"n_zero_coverage": 0.0}


def test_mu_fidelity_is_spearmans_over_sets_by_chance_with_a_control_by_area() -> None:
    case, numbers = case_of(linear(WEIGHTS), pixels(), MADE), cells(8)
    sums, areas, drops = [], [], []
    for index in range(40):
        chosen = case.sample.rng(f"subsets/independent/0.2/{index}").random(64) < 0.2
        hidden = chosen[numbers]
        sums.append(MADE[hidden].sum())
        areas.append(hidden.sum())
        drops.append(drop(hidden))
    found = scored(MuFidelity(regions=Grid(8), subsets=40), MADE)
    assert found.score == pytest.approx(spearmanr(sums, drops).statistic, abs=1e-9)
    expected = spearmanr(areas, drops).statistic
    assert found.parts["control_area"] == pytest.approx(expected, abs=1e-9)
    assert len(set(areas)) > 5


def test_a_model_that_counts_removed_area_is_given_away_by_the_control() -> None:
    # Multiples of 2^-10 have exact sums: equal areas have equal effects.
    weights = np.full((3, SIDE, SIDE), 2.0**-10)
    image = np.ones((3, SIDE, SIDE), np.float32)
    predictor = linear(weights)
    metric = MuFidelity(regions=Grid(8), subsets=60, output=LOGIT)
    case = case_of(predictor, image, MADE)
    found = ask(metric.score(case), predictor)
    assert found.parts["control_area"] == pytest.approx(1, abs=1e-12)
    assert isinstance(found.score, float)
    assert found.score > 0.5  # any positive map


def test_faithfulness_estimate_is_pearsons_over_single_cells() -> None:
    numbers = cells(4)
    sums = [MADE[numbers == cell].sum() for cell in range(16)]
    drops = [drop(numbers == cell) for cell in range(16)]
    found = scored(FaithfulnessEstimate(regions=Grid(4)), MADE)
    assert found.score == pytest.approx(pearsonr(sums, drops).statistic, abs=1e-9)


def test_monotonicity_correlation_ranks_magnitudes_by_mean_squares() -> None:
    numbers = cells(4)
    made = MADE - MADE.mean()
    sums = [abs(made[numbers == cell].sum()) for cell in range(16)]
    drops = [drop(numbers == cell) ** 2 for cell in range(16)]
    found = scored(MonotonicityCorrelation(regions=Grid(4)), made)
    assert found.score == pytest.approx(spearmanr(sums, drops).statistic, abs=1e-9)
    assert scored(MonotonicityCorrelation(regions=Grid(4)), -made).score == found.score


def test_monotonicity_correlation_averages_over_draws_of_the_operator() -> None:
    """The draws of noise, written out: draw 0 is the one that all metrics share."""
    predictor, image, numbers = linear(WEIGHTS), pixels(), cells(4)
    sample = case_of(predictor, image, MADE).sample
    clean = np.float32(predictor._logits(image)[0])
    squares = np.zeros(16)
    for purpose in ("removal", "removal/1", "removal/2"):
        rng = generator(sample.seed, sample.digest, purpose)
        noise = rng.random(image.shape, np.float32)
        for cell in range(16):
            shown = np.where(numbers != cell, image, noise)
            squares[cell] += (float(clean) - float(np.float32(predictor._logits(shown)[0]))) ** 2
    sums = [MADE[numbers == cell].sum() for cell in range(16)]
    metric = MonotonicityCorrelation(regions=Grid(4), draws=3, output=LOGIT)
    found = scored(metric, MADE, removal=Noise())
    assert found.score == pytest.approx(spearmanr(sums, squares).statistic, abs=1e-9)
    once = MonotonicityCorrelation(regions=Grid(4), draws=1, output=LOGIT)
    assert scored(once, MADE, removal=Noise()).score != found.score


@pytest.mark.parametrize(
    ("removal", "draws"),
    [
        (Noise(), 10),
        (LinearImputation(), 10),
        (LinearImputation(noise=0.0), 1),
        (Neighbourhood(statistic=Statistic.UNIFORM), 10),
        (Neighbourhood(), 1),
        (Black(), 1),
        (Layer(), 1),
        (Donor(), 10),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_only_operators_that_draw_are_asked_several_times(
    removal: RemovalOperator, draws: int
) -> None:
    metric = MonotonicityCorrelation(regions=Grid(2))
    assert metric.cost(planned(facts(), removal)).views == 4 * draws


def test_each_draw_of_donors_is_another_donor() -> None:
    predictor = linear(WEIGHTS)
    case = case_of(predictor, pixels(), MADE, removal=Donor())
    given = tuple(Donation(f"{seed}", LazyImage.of(pixels(seed))) for seed in (7, 8))
    sample = replace(case.sample, donors=given)
    case = replace(case, given=replace(case.given, sample=sample))
    asked = next(MonotonicityCorrelation(regions=Grid(2), draws=2).score(case))
    (first,) = {view.substitutes[0] for view in asked}  # type: ignore[union-attr]  # masked views
    assert np.array_equal(first(), pixels(7))
    assert np.array_equal(sample.view(None, Donor(), draw=1).substitutes[0](), pixels(8))


def test_non_sensitivity_counts_where_map_and_model_differ() -> None:
    """The model ignores the first cells, the map the last; both ignore the ones between."""
    numbers = cells(4)
    weights = np.where(np.isin(numbers, (0, 1, 2)), 0, np.full_like(WEIGHTS, 4e-3))
    made = np.where(np.isin(numbers, (2, 3, 4)), 1e-9, 1.0)
    metric = NonSensitivity(regions=Grid(4), eps=1e-3, output=LOGIT)
    found = scored(metric, made, predictor=linear(weights))
    assert found.score == 4 / 16
    agreed = np.where(np.isin(numbers, (0, 1, 2)), 0.0, -1.0)
    assert scored(metric, agreed, predictor=linear(weights)).score == 0
    assert scored(NonSensitivity(regions=Grid(4), eps=0.0), agreed).score == 3 / 16


def test_saco_weighs_pairs_of_groups_by_the_gap_of_their_salience() -> None:
    numbers = cells(8)
    means = [MADE[numbers == cell].mean() for cell in range(64)]
    order = sorted(range(64), key=lambda cell: -means[cell])
    groups = [order[8 * group : 8 * group + 8] for group in range(8)]
    hidden = [np.isin(numbers, group) for group in groups]
    salience = [MADE[mask].sum() for mask in hidden]
    drops = [drop(mask) for mask in hidden]
    total = weight = 0.0
    for i in range(8):
        for j in range(i + 1, 8):
            gap = salience[i] - salience[j]
            weight += gap if drops[i] >= drops[j] else -gap
            total += abs(gap)
    found = scored(Saco(regions=Grid(8), groups=8), MADE)
    assert found.score == pytest.approx(weight / total, abs=1e-9)
    assert -1 < weight / total < 1


def test_saco_of_groups_that_differ_by_a_cell_goes_by_area() -> None:
    """Sums of a cell more would turn the order of groups over."""
    made = 10 + effects(pixels())
    assert scored(Saco(regions=Grid(8), groups=10, output=LOGIT), made).score == pytest.approx(1)


@pytest.mark.parametrize("kind", [Slic(segments=9, compactness=100.0), Quickshift(2.0, 10.0)])
def test_segments_of_any_shape_take_the_place_of_cells(kind: Segmentation) -> None:
    labels = kind.regions(pixels()).labels
    sums = [MADE[labels == region].sum() for region in range(labels.max() + 1)]
    drops = [drop(labels == region) for region in range(labels.max() + 1)]
    found = scored(FaithfulnessEstimate(regions=kind), MADE)
    assert found.score == pytest.approx(pearsonr(sums, drops).statistic, abs=1e-9)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: one.name)
def test_a_constant_map_a_blind_model_and_nan_have_their_status(metric: Metric) -> None:
    assert reason(scored(metric, np.full((SIDE, SIDE), 0.3))) is Reason.DEGENERATE
    blind = ToyPredictor(lambda image: np.array([3.0, 0, 0]) + 0 * image.sum())
    if metric.name == "non_sensitivity":  # every region is one that only the map finds
        assert scored(metric, MADE, predictor=blind).score == 1
    else:
        assert reason(scored(metric, MADE, predictor=blind)) is Reason.NO_PLACE_EFFECT
    sick = ToyPredictor(lambda image: np.array([3.0 if image.min() > 0 else math.nan, 0, 0]))
    assert reason(scored(metric, MADE, predictor=sick)) is Reason.NOT_FINITE


def test_one_cell_and_a_map_whose_cells_are_alike_are_degenerate() -> None:
    for metric in (FaithfulnessCorrelation(regions=Grid(1)), Saco(regions=Grid(1), groups=2)):
        assert reason(scored(metric, MADE)) is Reason.DEGENERATE
    stripes = np.tile([0.0, 1.0], (SIDE, SIDE // 2))
    assert reason(scored(FaithfulnessEstimate(regions=Grid(4)), stripes)) is Reason.DEGENERATE


@pytest.mark.parametrize(
    ("metric", "field"),
    [
        (FaithfulnessCorrelation(regions=Grid(33)), "regions.grid.side"),
        (MuFidelity(regions=Slic(segments=500)), "regions.slic.segments"),
        (FaithfulnessEstimate(regions=Grid(33)), "regions.grid.side"),
        (Saco(regions=Grid(3)), "groups"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_what_does_not_fit_the_input_is_refused_at_its_field(metric: Metric, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        metric.check(planned(facts(), Black()))
    assert caught.value.field == field


def test_single_cells_too_small_for_layer_masking_are_refused() -> None:
    for metric in (FaithfulnessEstimate(regions=Grid(3)), NonSensitivity(regions=Grid(3))):
        metric.check(planned(facts(), Black()))
        with pytest.raises(InvalidArgumentError, match="vanish inside the network"):
            metric.check(planned(facts(), Layer()))


def test_answers_to_nothing_are_counted() -> None:
    everything = FaithfulnessCorrelation(regions=Grid(2), size=0.9, subsets=8)
    found = scored(everything, MADE, removal=Layer())
    assert found.parts["n_zero_coverage"] == 8.0
    assert reason(found) is Reason.NO_PLACE_EFFECT
