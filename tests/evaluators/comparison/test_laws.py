"""Laws of comparisons: copies, swaps, orders of images, planted differences, missing values."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

from heatproof.evaluators.comparison import differences
from heatproof.evaluators.comparison.values import Lack, ModelComparison, ModelDifference
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Inverse, Random, Saliency, Supplied
from heatproof.evaluators.metrics import METRICS as METRIC_CLASSES
from heatproof.evaluators.metrics import (
    Deletion,
    ExplanationConsistency,
    Insertion,
    InterModelDeletion,
    Metric,
    OcclusionCorrectedDeletion,
    PointingGame,
    SegmentRemoval,
)
from heatproof.evaluators.metrics.metric import NO_MAP_ENTERS, OCCLUSION_CONFOUND, MetricFacts
from heatproof.evaluators.metrics.robustness.explanation_consistency import Background
from heatproof.evaluators.queries.procedure import Procedure
from heatproof.evaluators.statistics.permutation import holm
from heatproof.evaluators.statistics.reductions import Entropy, Reduction
from tests.evaluators.comparison.made_up import columns_of, comparisons, spec_of

IMAGES = 40
SHARED = ExplanationConsistency(background=Background.SHARED)


def areas(seed: int, quality: float = 0.6) -> dict[str, Any]:
    """Areas of a model whose maps win this share of what can be won."""
    rng = np.random.default_rng(seed)
    room = rng.uniform(0.2, 0.6, IMAGES)
    won = room * rng.normal(quality, 0.1, IMAGES)
    random = np.full(IMAGES, 0.8)
    return {"random_area": random, "deletion_area": random - won, "oracle_area": random - room}


def values(metric: Metric, seed: int) -> Any:
    rng = np.random.default_rng(seed)
    if isinstance(metric, PointingGame):
        return (rng.random(IMAGES) < 0.7) * 1.0
    if metric == SHARED:
        return np.where(rng.random(IMAGES) < 0.2, 0.0, rng.beta(90, 10, IMAGES))
    return rng.normal(0.5, 0.1, IMAGES).clip(0.01, 0.99)


METRICS = (Insertion(), PointingGame(), SHARED, OcclusionCorrectedDeletion())


def one(metric: Metric, first: int, second: int, **rest: Any) -> ModelComparison:
    """The comparison of two models whose values are drawn from these seeds."""
    spec = spec_of("a", "b", metrics=(metric,))
    scores = [values(metric, seed) for seed in (first, second)]
    parts = {}
    if isinstance(metric, OcclusionCorrectedDeletion):
        parts = {place: areas(seed) for place, seed in enumerate((first, second))}
    (found,) = comparisons(spec, columns_of(spec, scores, parts, **rest))
    return found


def only(found: ModelComparison) -> ModelDifference:
    (difference,) = found.differences
    return difference


@pytest.mark.parametrize("metric", METRICS)
def test_a_model_does_not_differ_from_its_copy(metric: Metric) -> None:
    found = only(one(metric, 1, 1))
    assert (found.difference, found.p_value) == (0.0, 1.0)
    if found.interval is None:
        assert found.undefined is not None
        assert found.undefined.reason is Lack.NO_SPREAD
    else:
        assert found.interval.lower <= 0 <= found.interval.upper


@pytest.mark.parametrize("metric", METRICS)
def test_swapped_models_have_the_opposite_difference(metric: Metric) -> None:
    there, back = only(one(metric, 1, 2)), only(one(metric, 2, 1))
    assert there.difference
    assert back.difference == -there.difference
    assert back.p_value == there.p_value
    assert there.interval is not None
    assert back.interval is not None
    width = there.interval.upper - there.interval.lower
    # Quantiles of 10,000 resamples are one of them: the mirrored one is its neighbour.
    assert back.interval.lower == pytest.approx(-there.interval.upper, abs=0.02 * width)
    assert back.interval.upper == pytest.approx(-there.interval.lower, abs=0.02 * width)


@pytest.mark.parametrize("metric", METRICS)
def test_the_order_of_the_images_changes_nothing(metric: Metric) -> None:
    order = np.random.default_rng(3).permutation(IMAGES).tolist()
    before, after = one(metric, 1, 2), one(metric, 1, 2, order=order)
    assert only(after).p_value == only(before).p_value
    assert only(after).difference == pytest.approx(only(before).difference, abs=1e-14)
    assert only(after).interval == only(before).interval


@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_that_of_the_values_and_lies_in_its_interval(metric: Metric) -> None:
    found = one(metric, 1, 2)
    first, second = (held.summary.value for held in found.models)
    assert first is not None
    assert second is not None
    difference, interval = only(found).difference, only(found).interval
    assert difference == pytest.approx(first - second, abs=1e-14)
    assert difference is not None
    assert interval is not None
    assert interval.lower < difference < interval.upper


@pytest.mark.parametrize(
    ("metric", "method"),
    list(zip(METRICS, ("bootstrap_t", "newcombe", "betting", "bootstrap_t"), strict=True)),
)
def test_the_interval_is_of_the_kind_of_the_score(metric: Metric, method: str) -> None:
    interval = only(one(metric, 1, 2)).interval
    assert interval is not None
    assert interval.method == method


def test_pairs_are_all_or_those_with_the_reference() -> None:
    spec = spec_of("a", "b", "c")
    columns = columns_of(spec, [values(Insertion(), seed) for seed in range(3)])
    (everyone,), (held,) = comparisons(spec, columns), comparisons(spec, columns, reference="b")
    assert [(d.first, d.second) for d in everyone.differences] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    assert [(d.first, d.second) for d in held.differences] == [("a", "b"), ("c", "b")]
    assert held.differences[0] == everyone.differences[0]
    assert held.differences[1].difference == -(everyone.differences[2].difference or 0.0)


def test_a_planted_worse_model_is_found_and_equal_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    metrics = (Insertion(), Deletion(), Insertion(grid=7))
    spec = spec_of("a", "b", "worse", metrics=metrics)
    ease = rng.normal(0.6, 0.1, IMAGES)
    scores = [
        ease + rng.normal(0, 0.05, IMAGES) - (0.06 if model == "worse" else 0.0)
        for model in spec.models
        for _ in metrics
    ]
    found = comparisons(spec, columns_of(spec, scores))
    differences = [each for held in found for each in held.differences]
    adjusted = holm([each.p_value or 0.0 for each in differences])
    assert len(differences) == 9
    for each, p_value in zip(differences, adjusted, strict=True):
        assert (p_value <= 0.05) == (each.second == "worse")
        assert each.interval is not None
        assert (each.interval.lower > 0) == (each.second == "worse")


def test_a_model_that_hits_more_has_the_interval_above() -> None:
    often, seldom = np.arange(IMAGES) % 10 > 0, np.arange(IMAGES) % 10 > 4
    spec = spec_of("often", "seldom", metrics=(PointingGame(),))
    (found,) = comparisons(spec, columns_of(spec, [often * 1.0, seldom * 1.0]))
    difference = only(found)
    assert difference.difference == pytest.approx(0.4)
    assert difference.p_value == pytest.approx(2 / 2**16)
    assert difference.interval is not None
    assert 0.2 < difference.interval.lower < 0.4 < difference.interval.upper < 0.6


def test_images_that_one_model_lacks_are_left_out_of_all() -> None:
    spec = spec_of("a", "b", "c")
    scores: list[list[Any]] = [list(values(Insertion(), seed)) for seed in range(3)]
    scores[0][3] = scores[1][3] = None
    for row in scores:
        row[5] = None
    (found,) = comparisons(spec, columns_of(spec, scores))
    kept = [place for place in range(IMAGES) if place not in {3, 5}]
    assert (found.images, found.unshared_images) == (38, 1)
    assert [held.scored for held in found.models] == [38, 38, 39]
    for held, row in zip(found.models, scores, strict=True):
        assert held.summary.scored == 38
        assert held.summary.value == pytest.approx(np.mean([row[place] for place in kept]))
    assert [dict(held.summary.undefined) for held in found.models] == [
        {"DEGENERATE": 2},
        {"DEGENERATE": 2},
        {"DEGENERATE": 1},
    ]
    assert found.cautions == (Insertion().comparison_caution,)
    scores[2][:3] = [None] * 3
    (lossy,) = comparisons(spec, columns_of(spec, scores))
    assert "4 of 39 images have a value of some models only" in lossy.cautions[1]


def test_a_model_without_any_score_leaves_nothing_to_compare_and_is_named() -> None:
    spec = spec_of("a", "blind")
    (found,) = comparisons(spec, columns_of(spec, [values(Insertion(), 1), [None] * IMAGES]))
    assert found.images == 0
    difference = only(found)
    assert (difference.difference, difference.interval, difference.p_value) == (None, None, None)
    assert difference.undefined is not None
    assert difference.undefined.reason is Lack.NOTHING_SHARED
    assert difference.undefined.detail == (
        f"no image has a value of every model; blind has the fewest, 0 (DEGENERATE of {IMAGES}): "
        "evaluate the others without it"
    )


def test_a_panel_that_never_agrees_says_why_and_blames_no_model() -> None:
    spec = spec_of("a", "b", metrics=(InterModelDeletion(),))
    for found in comparisons(spec, columns_of(spec, [[None] * IMAGES])):
        difference = only(found)
        assert [held.summary.undefined for held in found.models] == [{"DEGENERATE": IMAGES}] * 2
        assert difference.undefined is not None
        assert difference.undefined.detail == (
            "no image has a value of every model, and no model has more than another "
            f"(DEGENERATE of {IMAGES})"
        )


def test_fewer_than_eight_images_have_a_difference_alone() -> None:
    spec = spec_of("a", "b")
    (found,) = comparisons(spec, columns_of(spec, [[0.5] * 7, [0.25] * 7]))
    difference = only(found)
    assert (difference.difference, difference.units) == (0.25, 7)
    assert (difference.interval, difference.p_value) == (None, None)
    assert difference.undefined is not None
    assert difference.undefined.reason is Lack.TOO_FEW_UNITS


def test_groups_are_what_is_counted() -> None:
    names = [f"g{place // 4}" for place in range(IMAGES)]
    found = one(Insertion(), 1, 2, groups=names)
    assert (found.images, only(found).units) == (IMAGES, 10)
    assert only(found).p_value != only(one(Insertion(), 1, 2)).p_value


@pytest.mark.parametrize("metric", [PointingGame(), SHARED])
def test_atoms_over_groups_have_betting_intervals(metric: Metric) -> None:
    names = [f"g{place // 4}" for place in range(IMAGES)]
    grouped, alone = only(one(metric, 1, 2, groups=names)), only(one(metric, 1, 2))
    assert grouped.difference == pytest.approx(alone.difference)
    assert grouped.interval is not None
    assert grouped.interval.method == "betting"
    assert grouped.difference is not None
    assert -1 <= grouped.interval.lower < grouped.difference < grouped.interval.upper <= 1


@dataclass(frozen=True, slots=True)
class Variety(Metric):
    """Scores the set as a whole."""

    facts: ClassVar[MetricFacts] = replace(Insertion.facts, name="variety", reads=())

    @property
    def reduction(self) -> Reduction:
        return Entropy()

    def score(self, case: Any) -> Procedure[Any]:
        raise NotImplementedError(case)


def test_a_value_of_the_set_has_a_difference_and_no_statistics() -> None:
    spec = spec_of("a", "b", metrics=(Variety(),), explainers=())
    (found,) = comparisons(spec, columns_of(spec, [[0, 1] * 20, [0] * 40]))
    difference = only(found)
    assert difference.difference == pytest.approx(np.log(2), abs=1e-6)
    assert (difference.interval, difference.p_value) == (None, None)
    assert difference.undefined is not None
    assert difference.undefined.reason is Lack.SET_LEVEL


def test_units_within_the_tolerance_count_as_equal_in_tests_alone() -> None:
    spec = spec_of("a", "b")
    base = values(Insertion(), 1)
    noise = np.random.default_rng(2).uniform(1e-6, 9e-5, IMAGES)
    columns = columns_of(spec, [base + noise, base])
    (strict,), (lenient,) = comparisons(spec, columns), comparisons(spec, columns, tolerance=1e-4)
    assert only(strict).p_value == pytest.approx(1e-4)
    assert only(lenient) == replace(only(strict), p_value=1.0)


def test_controls_are_shown_and_not_tested() -> None:
    explainers = (Saliency(), Centre(), Random(4), Inverse(), Supplied())
    spec = spec_of("a", "b", explainers=explainers)
    scores = [values(Insertion(), seed) for seed in range(10)]
    found = comparisons(spec, columns_of(spec, scores))
    assert [held.control for held in found] == [False, True, True, True, False]
    for held in found:
        assert (only(held).p_value is None) == held.control
        assert only(held).interval is not None
        assert only(held).undefined is None


def test_raw_values_under_occlusion_are_marked() -> None:
    metrics = (Insertion(), Deletion(), SegmentRemoval(), OcclusionCorrectedDeletion(), SHARED)
    confounded = [metric.name for metric in metrics if "withstands" in metric.comparison_caution]
    assert confounded == ["insertion", "deletion", "segment_removal"]


def test_too_many_tests_for_few_images_are_told_of() -> None:
    spec = spec_of("a", "b", "c", metrics=(Insertion(), Deletion()))
    told = []
    for images in (10, 9, 8):
        rng = np.random.default_rng(images)
        found = comparisons(spec, columns_of(spec, rng.uniform(size=(6, images)).tolist()))
        told += ["no p-value of" in " ".join(one.cautions) for one in found]
    # 6 tests of at least 2 / 2^n each, before and after the correction: .012, .023, .047.
    assert not any(told)
    crowded = spec_of("a", "b", "c", metrics=(Insertion(), Deletion(), Insertion(grid=7)))
    scores = np.random.default_rng(0).uniform(size=(9, 8)).tolist()
    for one in comparisons(crowded, columns_of(crowded, scores)):
        assert "no p-value of 8 units can be at most 0.05" in one.cautions[-1]
        assert "over 9 tests" in one.cautions[-1]
    (held, *_) = comparisons(crowded, columns_of(crowded, scores), reference="a")
    assert "no p-value of" not in " ".join(held.cautions)


@pytest.mark.parametrize("name", list(METRIC_CLASSES))
def test_what_is_scored_without_a_map_is_marked_as_no_quality_of_maps(name: str) -> None:
    own = METRIC_CLASSES[name]()
    if not own.takes_explainer and own.comparison_caution != OCCLUSION_CONFOUND:
        assert own.comparison_caution.startswith(NO_MAP_ENTERS)
    if own.takes_explainer:
        assert NO_MAP_ENTERS not in own.comparison_caution


def test_what_is_held_at_a_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of("a", "b", "c", metrics=METRICS[:3])
    scores = [values(metric, seed) for seed in range(3) for metric in METRICS[:3]]
    columns = columns_of(spec, scores)
    whole = comparisons(spec, columns)
    monkeypatch.setattr(differences, "_CELLS", 2 * IMAGES)
    assert comparisons(spec, columns) == whole


def seeded(seed: int) -> EvaluationSpec:
    return spec_of("a", "b", seed=seed)


def test_equal_seeds_give_equal_comparisons_and_others_other_resamples() -> None:
    scores = [values(Insertion(), 1), values(Insertion(), 2)]
    first, again, other = (
        comparisons(seeded(seed), columns_of(seeded(seed), scores)) for seed in (1, 1, 2)
    )
    assert first == again
    assert only(first[0]).difference == pytest.approx(only(other[0]).difference)
    assert only(first[0]).interval != only(other[0]).interval
