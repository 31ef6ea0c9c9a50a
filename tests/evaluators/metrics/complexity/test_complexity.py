"""Closed forms of the metrics of a map alone, and the laws that they share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.metrics import (
    METRICS,
    Complexity,
    EffectiveComplexity,
    MeanActivation,
    Metric,
    MstC,
    Sparseness,
)
from heatproof.evaluators.metrics.metric import MetricCategory
from heatproof.evaluators.outcomes import Reason, Undefined
from tests.evaluators.metrics.localization.scoring import number, reason, scored

MAPS = npst.arrays(np.float64, (5, 6), elements=st.integers(-9, 9).map(float)).filter(np.any)
ALL: list[Metric] = [
    Sparseness(),
    Complexity(),
    Complexity(relative=True),
    EffectiveComplexity(),
    MeanActivation(),
    MstC(0.5),
]


def one_pixel(n: int = 30) -> np.ndarray:
    made = np.zeros((5, n // 5))
    made[2, 3] = -7
    return made


def ramp(n: int = 30) -> np.ndarray:
    return np.arange(1.0, n + 1).reshape(5, -1)


def test_all_of_the_category_are_looked_at() -> None:
    kinds = {METRICS[name] for name in METRICS}
    own = {kind for kind in kinds if kind.facts.category is MetricCategory.COMPLEXITY}
    assert {type(metric) for metric in ALL} == own


@given(MAPS)
def test_sparseness_is_the_mean_difference_of_all_pairs(attribution: np.ndarray) -> None:
    sizes = np.abs(attribution).reshape(-1)
    pairs = np.abs(sizes[:, None] - sizes[None]).mean() / (2 * sizes.mean())
    assert number(Sparseness(), attribution, None) == pytest.approx(pairs, abs=1e-13)


def test_sparseness_of_one_pixel_a_ramp_and_a_constant() -> None:
    assert number(Sparseness(), one_pixel(), None) == pytest.approx(1 - 1 / 30)
    assert number(Sparseness(), ramp(), None) == pytest.approx(29 / 90)
    assert number(Sparseness(), np.full((5, 6), -0.1), None) == 0


@given(MAPS)
def test_complexity_is_an_entropy_in_nats(attribution: np.ndarray) -> None:
    shares = [abs(value) / np.abs(attribution).sum() for value in attribution.reshape(-1)]
    entropy = -sum(share * np.log(share) for share in shares if share)
    assert number(Complexity(), attribution, None) == pytest.approx(entropy, abs=1e-13)
    relative = number(Complexity(relative=True), attribution, None)
    assert relative == pytest.approx(entropy / np.log(30), abs=1e-13)


def test_complexity_of_one_pixel_and_a_constant() -> None:
    assert number(Complexity(), one_pixel(), None) == 0
    assert number(Complexity(), np.full((5, 6), -0.1), None) == pytest.approx(np.log(30))
    assert number(Complexity(relative=True), np.full((5, 6), 3.0), None) == pytest.approx(1)
    assert number(Complexity(relative=True), np.full((1, 1), 3.0), None) == 0


def test_effective_complexity_counts_what_exceeds_a_share_of_the_highest() -> None:
    attribution = np.zeros((5, 6))
    attribution[0] = [-1e3, 1e-2, 1.1e-2, -1.1e-2, 0.9e-2, 1]
    assert number(EffectiveComplexity(), attribution, None) == pytest.approx(4 / 30)
    assert number(EffectiveComplexity(1e-4), attribution, None) == pytest.approx(2 / 30)
    assert number(EffectiveComplexity(0.0), attribution, None) == pytest.approx(6 / 30)


@given(MAPS)
def test_mean_activation_is_the_mean_of_the_scaled_map(attribution: np.ndarray) -> None:
    positive = np.maximum(attribution, 0)
    if positive.min() == positive.max():
        assert reason(MeanActivation(), attribution, None) is Reason.DEGENERATE
        return
    scaled = (positive.mean() - positive.min()) / (positive.max() - positive.min())
    assert number(MeanActivation(), attribution, None) == pytest.approx(scaled)


@pytest.mark.parametrize("metric", ALL, ids=str)
@given(MAPS, st.sampled_from([2.0**-40, 0.5, 2.0**30]))
def test_the_unit_of_the_map_changes_nothing_and_scores_lie_in_their_range(
    metric: Metric, attribution: np.ndarray, unit: float
) -> None:
    score = scored(metric, attribution, None).score
    assert scored(metric, attribution * unit, None).score == score
    if metric != MeanActivation():  # the only one that reads signs
        assert scored(metric, -attribution, None).score == score
    if not isinstance(score, Undefined):
        assert score in metric.reduction.range


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_a_map_of_zeros_is_degenerate_and_a_constant_one_has_a_score(metric: Metric) -> None:
    assert reason(metric, np.zeros((5, 6)), None) is Reason.DEGENERATE
    constant = scored(metric, np.full((5, 6), 0.3), None).score
    assert isinstance(constant, Undefined) == (metric == MeanActivation())


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_huge_values_do_not_overflow(metric: Metric) -> None:
    made = np.full((5, 6), 1.5e308)
    made[0] = 0.5e308
    assert np.isfinite(number(metric, made, None))
