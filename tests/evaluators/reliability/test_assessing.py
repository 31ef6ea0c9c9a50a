"""What is said of metrics whose behaviour is planted."""

from collections.abc import Sequence

import numpy as np
import pytest

from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.explainers import Centre, Disturbed, Random, Saliency
from heatproof.evaluators.metrics import Deletion, Insertion, Metric, SensitivityN
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.reliability.values import Holds, MetricReliability, Role, Trust
from tests.evaluators.reliability.made_up import (
    MAPS,
    ORACLE,
    SLIDING,
    Scores,
    graded,
    reliabilities,
    trial_spec,
    turned_over,
)

INSERTION = Insertion()


def one(
    scores: Scores, metric: Metric = INSERTION, groups: Sequence[str] = ()
) -> MetricReliability:
    (found,) = reliabilities(trial_spec(metric), {metric: scores}, groups)
    return found


def test_a_metric_that_orders_maps_as_they_should_be_is_trusted() -> None:
    found = one(graded(30))
    assert found.trust_of_mean is Trust.TRUSTED
    assert all(step.holds is Holds.HOLDS for step in found.steps)
    assert found.images == 30
    assert found.resilience.value == 1
    assert any("the model's own answers" in told and "better" in told for told in found.reasons)


def test_gains_are_mean_differences_in_the_metrics_unit_and_direction() -> None:
    scores = graded(30)
    found = one(scores)
    names = [rated.explainer for rated in found.maps]
    assert names == [Random(), Centre(), Saliency(), SLIDING, ORACLE]
    assert len(found.steps) == 1 + 4 + 4
    for step in found.steps:
        better, worse = (np.array(scores[names[place]]) for place in (step.better, step.worse))
        assert step.gain == pytest.approx((better - worse).mean(), abs=1e-12)
        assert step.interval is not None
        assert step.interval.lower < step.gain < step.interval.upper
    turned = one(turned_over(scores), Deletion())
    assert turned.direction is Direction.LOWER_IS_BETTER
    for step, other in zip(found.steps, turned.steps, strict=True):
        assert other.gain == pytest.approx(step.gain, abs=1e-12)
        assert other.holds is step.holds
    assert turned.trust_of_mean is Trust.TRUSTED
    assert turned.image_agreement.value == pytest.approx(found.image_agreement.value)
    assert turned.resilience.value == found.resilience.value


def test_a_metric_that_puts_the_models_own_answers_last_is_not_trusted() -> None:
    found = one(graded(30, step=-0.04))
    assert found.trust_of_mean is Trust.UNTRUSTED
    assert any("own answers" in told and "occlusion worse" in told for told in found.reasons)
    assert any("centre" in told and "beats" in told for told in found.reasons)


def test_a_metric_that_tells_nothing_from_noise_is_doubted() -> None:
    found = one(graded(30, step=0))
    assert found.trust_of_mean is Trust.DOUBTFUL
    assert any("no explainer is shown" in told for told in found.reasons)


def test_a_metric_that_reacts_to_noise_on_a_map_is_not_trusted() -> None:
    found = one(graded(30, disturbance=3))
    assert found.resilience.value is not None
    assert found.resilience.value < 0.2
    assert found.trust_of_mean is Trust.UNTRUSTED


def test_resilience_is_the_share_of_images_and_explainers_that_noise_moves_less() -> None:
    scores = graded(30, disturbance=0.3)
    arrays = {key: np.array(values) for key, values in scores.items()}
    told = [
        np.abs(arrays[Disturbed(of)] - arrays[of]) < np.abs(arrays[Random()] - arrays[of])
        for of in (Saliency(), SLIDING)
    ]
    assert one(scores).resilience.value == pytest.approx(np.mean(told))
    assert 0.2 < np.mean(told) < 0.8


def test_a_score_that_never_changes_is_not_resilient() -> None:
    constant = {key: [0.5] * 30 for key in MAPS}
    found = one(constant)
    assert found.resilience.value == 0
    assert found.trust_of_mean is not Trust.TRUSTED
    assert found.image_agreement.value is None
    assert found.trust_of_image is Trust.UNDECIDED


def test_images_that_rank_alike_are_trusted_one_by_one_and_others_are_not() -> None:
    alike = one(graded(30, noise=0.01))
    assert alike.trust_of_image is Trust.TRUSTED
    apart = one(graded(200, noise=0.4))
    assert apart.trust_of_image is Trust.UNTRUSTED
    assert apart.trust_of_mean is Trust.TRUSTED  # the mean over 200 images tells what none does


def test_few_images_tell_nothing() -> None:
    found = one(graded(5))
    assert found.trust_of_mean is Trust.UNDECIDED
    assert found.trust_of_image is Trust.UNDECIDED


def test_images_without_a_score_of_every_map_are_left_out_and_counted() -> None:
    scores = graded(30)
    scores[Saliency()][4] = None
    scores[Centre()][7] = None
    scores[Disturbed(Saliency())][9] = None  # resilience alone reads it
    found = one(scores)
    assert (found.images, found.unshared_images) == (28, 2)
    assert found.resilience.scored == 27
    assert {rated.summary.scored for rated in found.maps} == {28}


def test_metrics_agree_where_both_are_higher_is_better_after_turning() -> None:
    spec = trial_spec(Insertion(), Deletion())
    scores = graded(30)
    found = reliabilities(spec, {Insertion(): scores, Deletion(): turned_over(scores)})
    for own, other in zip(found, reversed(found), strict=True):
        (agreement,) = own.agreements
        assert agreement.metric == other.metric
        assert agreement.correlation.value == pytest.approx(1)
        assert agreement.rank_correlation.value == pytest.approx(1)
    unrelated = reliabilities(spec, {Insertion(): scores, Deletion(): graded(30, seed=9)})
    assert abs(unrelated[0].agreements[0].correlation.value or 0) < 0.5
    # Levels are those of the rungs, and Deletion is turned: the order is the opposite.
    assert unrelated[0].agreements[0].rank_correlation.value == pytest.approx(-1)


def test_metrics_that_share_no_image_agree_on_nothing() -> None:
    spec = trial_spec(Insertion(), Deletion())
    first, second = graded(20), turned_over(graded(20))
    first[Saliency()] = [*first[Saliency()][:10], *[None] * 10]
    second[Saliency()] = [*[None] * 10, *second[Saliency()][10:]]
    (agreement,) = reliabilities(spec, {Insertion(): first, Deletion(): second})[0].agreements
    assert agreement.correlation.value is None
    assert agreement.rank_correlation.value is None


def test_results_name_where_they_come_from() -> None:
    spec = trial_spec(SensitivityN(), Insertion())
    found = reliabilities(spec, {SensitivityN(): graded(12), Insertion(): graded(12)})
    keys = result_keys(spec)
    for one_metric in found:
        for rated in one_metric.maps:
            assert keys[rated.result].explainer == rated.explainer
            assert keys[rated.result].metric == one_metric.metric
    assert [rated.role for rated in found[0].maps] == [
        Role.RANDOM,
        Role.BLIND,
        Role.EXPLAINER,
        Role.EXPLAINER,
        Role.ORACLE,
    ]


def test_the_order_of_images_changes_nothing_and_groups_count_as_one() -> None:
    scores = graded(40)
    grouped = one(scores, groups=[f"g{place // 4}" for place in range(40)])
    assert {rated.summary.units for rated in grouped.maps} == {10}
    assert grouped.image_agreement.units == 10
