"""Regression checks as tests of non-inferiority, on drops whose truth is known."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heatproof.evaluators.gate.drops import upper_limits
from heatproof.evaluators.gate.pairing import Pair
from heatproof.evaluators.gate.policy import Check, CheckOutcome, Severity
from heatproof.evaluators.gate.regressions import Comparison, Judged, judge_regressions
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.insertion import Insertion
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.registry.parameters import UNIT, Range
from heatproof.evaluators.statistics.arms import Arm
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.reductions import Mean, Proportion, RatioOfMeans, Reduction

PLAIN, ATOM = Mean(UNIT), Mean(UNIT, (0.0,))
HIGHER, LOWER = Direction.HIGHER_IS_BETTER, Direction.LOWER_IS_BETTER
RNG = np.random.default_rng(0)
BASE = RNG.beta(18, 4, 40)


def pair(
    candidate: Any,
    baseline: Any,
    reduction: Reduction = PLAIN,
    direction: Direction = HIGHER,
    **more: Any,
) -> Pair:
    mine, theirs = (Arm.of_mean(np.asarray(v, float)) for v in (candidate, baseline))
    return Pair(mine, theirs, mine.count, 0.0, direction, reduction, **more)


def judged(held: Pair, allowed: float, **more: Any) -> Judged:
    check = Check(metric=Insertion(), max_regression=allowed)
    return judge_regressions([Comparison(check, held)], tests=1, seed=0, **more)[0]


def limit(held: Pair, kind: Intervals = Intervals.STANDARD) -> float | None:
    return upper_limits([held], seed=0, tail=0.05, kind=kind)[0]


def noisy(drop: float, spread: float = 0.03, n: int = 40, seed: int = 1) -> tuple[Any, Any]:
    """Candidate and baseline; the candidate is worse by about `drop`."""
    rng = np.random.default_rng(seed)
    baseline = rng.beta(18, 4, n)
    return baseline - rng.normal(drop, spread, n), baseline


@pytest.mark.parametrize(
    ("drop", "expected"),
    [
        (0.0, CheckOutcome.PASS),
        (-0.2, CheckOutcome.PASS),
        (0.05, CheckOutcome.INCONCLUSIVE),
        (0.2, CheckOutcome.FAIL),
    ],
)
@pytest.mark.parametrize("direction", [HIGHER, LOWER])
def test_it_passes_only_what_is_shown_and_fails_only_what_is_shown(
    drop: float, expected: Any, direction: Direction
) -> None:
    candidate, baseline = noisy(drop)
    turned = candidate if direction is HIGHER else 2 * baseline - candidate
    assert judged(pair(turned, baseline, direction=direction), 0.05).outcome is expected


def test_not_shown_worse_is_no_pass() -> None:
    candidate, baseline = noisy(0.0, spread=0.3)
    found = judged(pair(candidate, baseline), 0.02)
    assert found.outcome is CheckOutcome.INCONCLUSIVE
    assert found.regression.p_value is not None
    assert found.regression.p_value > 0.05
    assert found.message.startswith("neither shown worse nor shown not worse")


def test_all_differences_zero_pass_with_p_one() -> None:
    for reduction in (PLAIN, ATOM, Proportion(), Mean()):
        values = np.round(BASE) if isinstance(reduction, Proportion) else BASE
        found = judged(pair(values, values, reduction), 0.0)
        assert found.outcome is CheckOutcome.PASS
        assert (found.regression.drop, found.regression.p_value) == (0.0, 1.0)


def test_three_collapses_of_thirty_never_pass() -> None:
    baseline = BASE[:30]
    for seed in range(20):
        candidate = baseline + np.random.default_rng(seed).normal(0, 0.005, 30)
        candidate[:3] = 0.0
        found = judged(pair(candidate, baseline, ATOM), 0.05)
        assert found.outcome is not CheckOutcome.PASS


def test_the_limit_of_atoms_is_the_lost_share_and_the_other_drops() -> None:
    candidate = BASE + RNG.normal(0.01, 0.02, 40)
    candidate[[3, 7]] = 0.0
    others = np.delete(BASE - candidate, [3, 7])
    share = stats.binomtest(2, 40).proportion_ci(0.95, method="wilson").high
    bootstrapped = pair(others, np.zeros(38), Mean(), LOWER)
    (rest,) = upper_limits([bootstrapped], seed=0, tail=0.025, kind=Intervals.STANDARD)
    assert rest is not None
    # Other units draw other resamples: the resampling error of the limit is about 0.0002.
    assert limit(pair(candidate, BASE, ATOM)) == pytest.approx(share + max(0, rest), abs=1e-3)


def test_leaving_a_good_atom_is_a_jump_too() -> None:
    baseline = np.zeros(40)
    baseline[10:] = BASE[10:]
    candidate = baseline + np.append(np.zeros(10), RNG.normal(0, 0.01, 30))
    candidate[0] = 0.9
    found = limit(pair(candidate, baseline, ATOM, LOWER))
    assert found is not None
    assert found >= stats.binomtest(1, 40).proportion_ci(0.95, method="wilson").high


def test_too_few_other_differences_leave_atoms_open() -> None:
    candidate = np.where(np.arange(12) < 5, 0.0, BASE[:12] + 0.01 * np.arange(12))
    assert limit(pair(candidate, BASE[:12], ATOM)) is None
    assert judged(pair(candidate, BASE[:12], ATOM), 0.99).outcome is CheckOutcome.INCONCLUSIVE


def test_no_flip_at_all_passes_from_about_120_images_on() -> None:
    outcomes = {}
    for n in (40, 130):
        candidate, baseline = noisy(0.0, spread=0.01, n=n)
        outcomes[n] = judged(pair(candidate, baseline, ATOM), 0.05).outcome
    # Wilson's 97.5 % limit of 0 in n is 3.84 / (n + 3.84): 0.088 and 0.029.
    assert outcomes == {40: CheckOutcome.INCONCLUSIVE, 130: CheckOutcome.PASS}


def test_a_proportion_is_limited_by_what_only_the_candidate_loses() -> None:
    baseline = np.ones(60)
    candidate = np.where(np.arange(60) < 2, 0.0, 1.0)
    expected = stats.binomtest(2, 60).proportion_ci(0.9, method="wilson").high
    held = pair(candidate, baseline, Proportion())
    assert limit(held) == pytest.approx(expected, rel=1e-12)
    assert judged(held, 0.12).outcome is CheckOutcome.PASS
    lost = pair(1 - candidate, baseline, Proportion())
    assert judged(lost, 0.12).outcome is CheckOutcome.FAIL


def test_a_proportion_that_may_not_drop_is_tested_by_mcnemar() -> None:
    baseline = np.append(np.ones(20), np.zeros(20))
    candidate = baseline.copy()
    candidate[:7], candidate[20:22] = 0.0, 1.0
    found = judged(pair(candidate, baseline, Proportion()), 0.0)
    expected = stats.binomtest(7, 9, alternative="greater").pvalue
    assert found.regression.p_value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("reduction", [PLAIN, ATOM])
def test_bounded_intervals_bet_on_the_differences(reduction: Reduction) -> None:
    candidate, baseline = noisy(0.0, spread=0.02, n=400)
    standard, bounded = (limit(pair(candidate, baseline, reduction), kind) for kind in Intervals)
    assert standard is not None
    assert bounded is not None
    assert bounded != standard
    assert -0.01 <= bounded <= 0.2


def test_groups_with_atoms_are_bet_on_and_ratios_with_atoms_left_open() -> None:
    candidate, baseline = noisy(0.0, n=40)
    bounded = limit(pair(candidate, baseline, ATOM), Intervals.BOUNDED)
    grouped = limit(pair(candidate, baseline, ATOM, grouped=True))
    assert grouped == pytest.approx(bounded, abs=1e-12)
    ratio = RatioOfMeans(("a", ""), ("b", ""), 1e-3, UNIT, (0.0,), UNIT)
    assert limit(pair(candidate, baseline, ratio)) is None


def test_a_drop_towards_zero_is_one_of_magnitudes() -> None:
    rng = np.random.default_rng(4)
    small, large = rng.normal(-0.1, 0.05, 40), rng.normal(0.4, 0.05, 40)
    unbounded, nearer = Mean(), Direction.CLOSER_TO_ZERO
    assert judged(pair(small, large, unbounded, nearer), 0.0).outcome is CheckOutcome.PASS
    assert judged(pair(large, small, unbounded, nearer), 0.1).outcome is CheckOutcome.FAIL
    drop = judged(pair(large, small, unbounded, nearer), 0.1).regression.drop
    assert drop == pytest.approx(abs(large.mean()) - abs(small.mean()), rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 0.3), st.floats(0.01, 0.3), st.integers(0, 50))
def test_a_wider_allowance_never_turns_a_pass_into_less(
    allowed: float, more: float, seed: int
) -> None:
    order = [CheckOutcome.FAIL, CheckOutcome.INCONCLUSIVE, CheckOutcome.PASS]
    candidate, baseline = noisy(0.1, spread=0.1, n=12, seed=seed)
    held = pair(candidate, baseline)
    strict, wide = (order.index(judged(held, d).outcome) for d in (allowed, allowed + more))
    assert strict <= wide


def test_the_limit_is_cut_to_what_a_drop_can_be() -> None:
    candidate, baseline = np.zeros(10), np.full(10, 0.999)
    baseline[0], candidate[:3] = 0.0, [0.9, 0.8, 0.7]
    found = limit(pair(candidate, baseline, Mean(Range(0, 1))))
    assert found is None or found <= 1.0


def test_warning_checks_do_not_weigh_on_the_correction() -> None:
    candidate, baseline = noisy(0.03, spread=0.05, n=12)
    comparisons = [
        Comparison(
            Check(metric=Insertion(), max_regression=0.0, severity=severity),
            pair(candidate, baseline),
        )
        for severity in (Severity.FAIL, Severity.WARN, Severity.FAIL)
    ]
    found = judge_regressions(comparisons, tests=2, seed=0)
    p_values = [(one.regression.p_value, one.regression.adjusted_p_value) for one in found]
    assert p_values[1][0] == p_values[1][1]
    assert p_values[0][1] == pytest.approx(2 * p_values[0][0])


def passes(drop: float, n: int, reduction: Reduction, trials: int = 100) -> float:
    """Share of samples that pass at d = .05 where the candidate flips on `drop / .95`."""
    passed = 0
    for trial in range(trials):
        rng = np.random.default_rng(trial)
        baseline = np.full(n, 0.95) + rng.normal(0, 0.01, n)
        flipped = rng.random(n) < drop / 0.95
        candidate = np.where(flipped, 0.0, baseline + rng.normal(0, 0.005, n))
        found = judged(pair(candidate, baseline, reduction), 0.05)
        passed += found.outcome is CheckOutcome.PASS
    return passed / trials


def test_a_model_that_flips_too_often_passes_without_the_atom_and_not_with_it() -> None:
    # 45 % of the samples of 8 hold no flip at all.
    assert passes(0.095, 8, PLAIN) >= 0.3
    assert passes(0.095, 8, ATOM) == 0.0
    assert passes(0.095, 30, ATOM) == 0.0


@pytest.mark.parametrize(
    ("count", "allowed", "said"),
    [
        (8, 0.05, "66% of samples of 8 images where the true drop is 0.05: 59 images"),
        (30, 0.05, "21% of samples of 30 images where the true drop is 0.05: 59 images"),
        (58, 0.05, "59 images bring that to 5%"),
        (59, 0.05, ""),
        (30, 0.1, ""),
        (8, 0.0, "59 images"),
    ],
)
def test_a_pass_without_a_difference_says_how_often_luck_gives_it(
    count: int, allowed: float, said: str
) -> None:
    """0.95^8 = 0.663, 0.95^30 = 0.215, 0.95^59 = 0.0485; 0.9^29 = 0.047."""
    for reduction in (Proportion(), ATOM):
        found = judged(pair(np.ones(count), np.ones(count), reduction), allowed)
        assert found.outcome is CheckOutcome.PASS
        assert said in found.message
        assert ("no score differs" in found.message) is bool(said)


def test_a_pass_by_scores_that_are_never_equal_says_nothing_of_luck() -> None:
    found = judged(pair(BASE[:8], BASE[:8]), 0.05)
    assert (found.outcome, "no score" in found.message) == (CheckOutcome.PASS, False)


def test_a_pass_that_groups_give_by_luck_counts_groups() -> None:
    values = np.ones(10)
    found = judged(pair(values, values, Proportion(), grouped=True, largest=1), 0.05)
    assert "59 groups" in found.message
