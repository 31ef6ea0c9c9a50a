"""What all comparisons of a map with the place of the object have in common."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.metrics import (
    METRICS,
    AttributionLocalization,
    BoxIou,
    ConceptInfluence,
    EffectiveHeatRatio,
    EnergyPointingGame,
    LocalizationAuc,
    Metric,
    PointingGame,
    RelevanceMassAccuracy,
    RelevanceRankAccuracy,
    TopKIntersection,
)
from heatproof.evaluators.metrics.localization.localization_auc import RankSummary
from heatproof.evaluators.metrics.localization.objects import ObjectMetric
from heatproof.evaluators.outcomes import Reason, Score, Undefined
from tests.evaluators.metrics.localization.scoring import number, reason, scored

SIDE = 6
RELABELLED: list[Metric] = [
    PointingGame(0.0),
    AttributionLocalization(),
    AttributionLocalization(weighted=True),
    RelevanceMassAccuracy(),
    EnergyPointingGame(),
    RelevanceRankAccuracy(),
    TopKIntersection(5),
    ConceptInfluence(5),
    EffectiveHeatRatio(),
    LocalizationAuc(),
    LocalizationAuc(RankSummary.PRECISION),
]
ALL = [*RELABELLED, BoxIou()]


@st.composite
def maps_and_objects(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A map without ties and an object that neither lacks nor fills the frame."""
    values = draw(st.permutations(range(SIDE * SIDE)))
    shift = draw(st.integers(0, SIDE * SIDE - 2))
    objects = draw(npst.arrays(np.bool_, (SIDE, SIDE)))
    objects[0, 0], objects[-1, -1] = True, False
    return (np.array(values, np.float64) - shift).reshape(SIDE, SIDE), objects


def test_every_comparison_with_the_object_is_looked_at() -> None:
    kinds = {type(metric) for metric in ALL}
    assert kinds == {METRICS[name] for name in METRICS if issubclass(METRICS[name], ObjectMetric)}


@pytest.mark.parametrize("metric", RELABELLED, ids=str)
@given(maps_and_objects(), st.randoms(use_true_random=False))
def test_relabelling_the_pixels_of_map_and_object_alike_changes_nothing(
    metric: Metric, drawn: tuple[np.ndarray, np.ndarray], random: Any
) -> None:
    attribution, objects = drawn
    order = list(range(SIDE * SIDE))
    random.shuffle(order)
    moved, moved_objects = (
        array.reshape(-1)[order].reshape(SIDE, SIDE) for array in (attribution, objects)
    )
    before, after = scored(metric, attribution, objects), scored(metric, moved, moved_objects)
    same(before.score, after.score)
    for name, part in before.parts.items():
        same(part, after.parts[name])


def same(before: Score, after: Score) -> None:
    if isinstance(before, Undefined) or isinstance(after, Undefined):
        assert before == after
    else:
        assert after == pytest.approx(before, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("metric", ALL, ids=str)
@given(maps_and_objects(), st.sampled_from([2.0**-40, 0.5, 4.0, 2.0**30]))
def test_the_unit_of_the_map_changes_nothing_and_scores_lie_in_their_range(
    metric: Metric, drawn: tuple[np.ndarray, np.ndarray], unit: float
) -> None:
    attribution, objects = drawn
    score = scored(metric, attribution, objects).score
    assert scored(metric, attribution * unit, objects).score == score
    if not isinstance(score, Undefined):
        assert score in metric.reduction.range


@pytest.mark.parametrize("metric", ALL, ids=str)
def test_what_cannot_be_compared_has_a_reason(metric: Metric) -> None:
    slope = np.arange(36.0).reshape(6, 6)
    some = slope < 9
    assert reason(metric, slope, None) is Reason.NO_OBJECT
    assert reason(metric, slope, np.zeros((6, 6), np.bool_)) is Reason.NO_OBJECT
    assert reason(metric, slope, np.ones((6, 6), np.bool_)) is Reason.FULL_OBJECT
    assert reason(metric, np.full((6, 6), 2.0), some) is Reason.DEGENERATE


CLIPPING = [metric for metric in ALL if type(metric).__name__ not in {
    "PointingGame", "RelevanceRankAccuracy", "TopKIntersection", "ConceptInfluence",
    "LocalizationAuc",
}]  # fmt: skip


@pytest.mark.parametrize("metric", CLIPPING, ids=str)
def test_a_map_without_a_positive_value_is_degenerate_where_negatives_are_clipped(
    metric: Metric,
) -> None:
    slope = np.arange(36.0).reshape(6, 6)
    assert reason(metric, slope - 35, slope < 9) is Reason.DEGENERATE


@pytest.mark.parametrize("metric", RELABELLED, ids=str)
def test_random_maps_score_chance(metric: Metric) -> None:
    """Within four standard errors of 600 maps."""
    rng = np.random.default_rng(3)
    objects = rng.random((12, 12)) < 0.3
    found = [scored(metric, rng.random((12, 12)), objects) for _ in range(600)]
    scores = np.array([one.score for one in found], np.float64)
    chance = found[0].parts["chance"]
    assert isinstance(chance, float)
    error = scores.std(ddof=1) / np.sqrt(scores.size)
    # Average precision of few pixels is above its limit: by about ln(n) / n.
    bias = 0.03 if metric == LocalizationAuc(RankSummary.PRECISION) else 0.0
    assert abs(scores.mean() - chance) < 4 * error + bias


@pytest.mark.parametrize("metric", RELABELLED, ids=str)
def test_the_object_itself_is_the_best_map_and_its_complement_the_worst(metric: Metric) -> None:
    objects = np.zeros((12, 12), np.bool_)
    objects[2:6, 3:7] = True
    best, worst = (number(metric, made.astype(np.float64), objects) for made in (objects, ~objects))
    weighted = metric in (AttributionLocalization(weighted=True), ConceptInfluence(5))
    assert best == (9 if weighted else 1)
    least = 16 / 144 * 0 if metric != LocalizationAuc(RankSummary.PRECISION) else 16 / 144
    assert worst == pytest.approx(least, abs=1e-15)
