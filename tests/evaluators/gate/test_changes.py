"""What a verdict says of each score against the baseline's, by NumPy and SciPy."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from heatproof.evaluators.evaluation.results import ImageResult, ImageScore
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.gate import judge
from heatproof.evaluators.gate.policy import Check, Evaluated, Policy, ScoreChange
from heatproof.evaluators.metrics.agreement.maps.agreement_spearman import AgreementSpearman
from heatproof.evaluators.metrics.agreement.maps.map_agreement import Against
from heatproof.evaluators.metrics.axioms.input_invariance import InputInvariance
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.deletion import Deletion
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.insertion import Insertion
from heatproof.evaluators.outcomes import Direction
from tests.evaluators.gate.test_judging import evaluated, policy

RNG = np.random.default_rng(3)
BASELINE = RNG.uniform(0.3, 0.7, 24)
CANDIDATE = BASELINE - 0.02 + RNG.normal(0, 0.03, 24)


def changed(candidate: Any, baseline: Any, metric: Any = None, **check: Any) -> ScoreChange:
    (found,) = judge(
        policy(metric, **(check or {"min": 0.0})),
        evaluated(candidate, metric),
        replace(evaluated(baseline, metric), model="m"),
    ).changes
    return found


def test_it_is_the_paired_difference_of_the_images_that_both_scored() -> None:
    mine, theirs = [*CANDIDATE, None, 0.9, 0.9], [*BASELINE, 0.8, None, None]
    found = changed(mine, theirs)
    assert (found.images, found.only_candidate, found.only_baseline) == (24, 2, 1)
    assert found.candidate == pytest.approx(CANDIDATE.mean(), abs=1e-12)
    assert found.baseline == pytest.approx(BASELINE.mean(), abs=1e-12)
    difference = CANDIDATE - BASELINE
    assert found.difference.difference == pytest.approx(difference.mean(), abs=1e-12)
    interval = found.difference.interval
    assert interval is not None
    # Bootstrap-t of symmetric differences is near Student's interval.
    expected = stats.t.interval(0.95, 23, difference.mean(), stats.sem(difference))
    assert (interval.lower, interval.upper) == pytest.approx(expected, abs=0.006)
    flips = stats.permutation_test(
        (difference,), np.mean, permutation_type="samples", n_resamples=9999, rng=0
    )
    assert found.difference.p_value == pytest.approx(flips.pvalue, abs=0.01)
    assert found.difference.adjusted_p_value == found.difference.p_value


@pytest.mark.parametrize(("metric", "sign"), [(Insertion(), -1.0), (Deletion(), 1.0)])
def test_the_worst_images_are_those_that_lost_most_by_the_metrics_direction(
    metric: Any, sign: float
) -> None:
    found = changed(CANDIDATE, BASELINE, metric)
    drops = sign * (CANDIDATE - BASELINE)
    order = [place for place in np.argsort(-drops, kind="stable")[:10] if drops[place] > 0]
    assert [image.display_name for image in found.worst] == [str(place) for place in order]
    for image, place in zip(found.worst, order, strict=True):
        assert image.image == f"{place:064x}"
        assert image.drop == pytest.approx(drops[place], abs=1e-12)
        assert (image.candidate, image.baseline) == (CANDIDATE[place], BASELINE[place])


def test_closer_to_zero_is_read_by_size() -> None:
    assert Direction.CLOSER_TO_ZERO is InputInvariance.facts.direction
    signed = [0.1, -0.5, 0.4, 0.0] + [0.0] * 8
    found = changed(signed, [0.3, 0.1, -0.4, 0.0] + [0.0] * 8, InputInvariance(), max=1.0)
    assert [(one.display_name, round(one.drop, 12)) for one in found.worst] == [("1", 0.4)]


def test_equal_scores_have_changed_nothing() -> None:
    found = changed(BASELINE, BASELINE)
    assert (found.candidate, found.difference.difference, found.worst) == (found.baseline, 0.0, ())
    assert found.difference.p_value == 1


def test_few_images_have_a_difference_and_no_interval() -> None:
    found = changed(CANDIDATE[:5], BASELINE[:5])
    assert found.difference.difference is not None
    assert found.difference.interval is None
    assert found.difference.undefined is not None
    assert found.difference.undefined.reason == "TOO_FEW_UNITS"


def test_nothing_shared_says_so() -> None:
    found = changed([0.5] * 8 + [None] * 8, [None] * 8 + [0.5] * 8)
    assert (found.images, found.candidate, found.baseline) == (0, None, None)
    assert found.difference.undefined is not None
    assert found.difference.undefined.reason == "NOTHING_SHARED"


def test_p_values_are_corrected_over_all_changes() -> None:
    def both(shift: float) -> Evaluated:
        held = evaluated(BASELINE)
        spec = replace(held.spec, metrics=(Insertion(), Deletion()))
        images = tuple(
            ImageResult(
                f"{place:064x}", str(place), None, (),
                (ImageScore(0, value - shift, {}, {}), ImageScore(1, value - shift / 2, {}, {})),
            )
            for place, value in enumerate(BASELINE + shift * RNG.normal(0, 2, 24))
        )  # fmt: skip
        columns = tabulated(spec, images)
        return Evaluated("m", spec, summarize(spec, columns), columns)

    rules = Policy(checks=tuple(Check(metric=m, min=0.0) for m in (Insertion(), Deletion())))
    found = judge(rules, both(0.02), both(0.0)).changes
    assert [change.result for change in found] == [0, 1]
    plain = [change.difference.p_value or 0.0 for change in found]
    small, large = sorted(plain)
    assert sorted(change.difference.adjusted_p_value or 0.0 for change in found) == [
        pytest.approx(min(1, 2 * small)),
        pytest.approx(min(1, max(2 * small, large))),
    ]


def test_scores_that_two_models_cannot_be_compared_by_are_left_out() -> None:
    metric = AgreementSpearman(against=Against.MODELS)
    rules = policy(metric, min=0.5)
    assert judge(rules, evaluated(BASELINE, metric), evaluated(BASELINE, metric)).changes == ()


def test_labels_tell_the_change_of_the_clean_accuracy() -> None:
    def labelled(tops: list[int]) -> Evaluated:
        held = evaluated(BASELINE)
        images = replace(
            held.columns.images,
            labels=(1,) * 24,
            answers={"m": np.array(tops, held.columns.images.answers_of("m").dtype)},
        )
        return replace(held, columns=replace(held.columns, images=images))

    found = judge(policy(min=0.0), labelled([1] * 18 + [0] * 6), labelled([1] * 24)).changes[0]
    assert (found.result, found.candidate, found.baseline) == (-1, 0.75, 1.0)
    assert found.difference.interval is not None
    assert found.difference.interval.method == "newcombe"
    assert found.difference.p_value == pytest.approx(stats.binomtest(0, 6).pvalue)
    assert [image.display_name for image in found.worst] == [str(place) for place in range(18, 24)]


def test_without_a_baseline_nothing_is_told() -> None:
    assert judge(policy(min=0.0), evaluated(BASELINE), None).changes == ()
