"""Which interval a score gets, the closed forms of each, and simulated coverage."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from heatproof.evaluators.registry.parameters import UNBOUNDED, UNIT, Range
from heatproof.evaluators.statistics.arms import Arm, ArmContrast
from heatproof.evaluators.statistics.betting import grouped_limits, mean_limits
from heatproof.evaluators.statistics.bootstrap import bootstrap_t
from heatproof.evaluators.statistics.intervals import Intervals, Limits, Measured, intervals
from heatproof.evaluators.statistics.reductions import Mean, Proportion, RatioOfMeans

RNG = np.random.default_rng(3)
SMOOTH = RNG.beta(2, 3, 40)
ZEROS = np.where(np.arange(40) % 5 == 0, 0.0, SMOOTH)
HITS = (RNG.random(40) < 0.7).astype(float)
PLAIN, ATOM = Mean(UNIT), Mean(UNIT, (0.0,))


def made(values: Any, reduction: Any, **kind: Any) -> Limits | None:
    score = Measured.of(Arm.of_mean(np.asarray(values, float)), reduction)
    return intervals([score], seed=0, level=0.95, **kind)[0]


def ratio_of(parts: Range, range_: Range = UNIT, atoms: Any = ()) -> RatioOfMeans:
    return RatioOfMeans(("a", ""), ("b", ""), 1e-3, range_, atoms, parts)


@pytest.mark.parametrize(
    ("values", "reduction", "kind", "method"),
    [
        (SMOOTH, PLAIN, "standard", "bootstrap_t"),
        (SMOOTH, Mean(), "standard", "bootstrap_t"),
        (HITS, Proportion(), "standard", "wilson"),
        (ZEROS, ATOM, "standard", "wilson_bootstrap_t"),
        (SMOOTH, ATOM, "standard", "wilson_bootstrap_t"),
        (1 - ZEROS, Mean(UNIT, (1.0,)), "standard", "wilson_bootstrap_t"),
        (np.ones(40), Mean(UNIT, (1.0,)), "standard", "betting"),
        (np.full(40, 0.3), Mean(UNIT, (1.0,)), "standard", "betting"),
        (ZEROS, Mean(UNIT, (0.0, 1.0)), "standard", "betting"),
        (np.where(np.arange(40) < 7, SMOOTH, 0.0), ATOM, "standard", "betting"),
        (SMOOTH, PLAIN, "bounded", "betting"),
        (HITS, Proportion(), "bounded", "betting"),
        (SMOOTH, Mean(Range(0, np.inf)), "bounded", "bootstrap_t"),
        (SMOOTH, ratio_of(UNIT), "standard", "bootstrap_t"),
        (SMOOTH, ratio_of(UNIT), "bounded", "bootstrap_t"),
        (ZEROS, ratio_of(UNIT, atoms=(0.0,)), "standard", "betting"),
    ],
)
def test_the_kind_of_score_decides_the_method(
    values: Any, reduction: Any, kind: str, method: str
) -> None:
    found = made(values, reduction, kind=Intervals(kind))
    assert found is not None
    assert found.method == method


@pytest.mark.parametrize(
    ("values", "reduction"),
    [
        (SMOOTH[:7], PLAIN),
        (HITS[:7], Proportion()),
        (ZEROS[:7], ATOM),
        (np.full(40, 0.5), PLAIN),
        (np.append(np.zeros(39), 1.0), PLAIN),
        (ZEROS, Mean(UNBOUNDED, (1.0,))),
        (ZEROS, ratio_of(UNBOUNDED, atoms=(0.0,))),
        (ZEROS, ratio_of(UNIT, UNBOUNDED, (0.0,))),
    ],
)
def test_what_the_data_do_not_tell_has_no_interval(values: Any, reduction: Any) -> None:
    assert made(values, reduction) is None


def test_a_grouped_proportion_and_grouped_atoms_are_bet_on() -> None:
    sizes = np.tile([1.0, 2.0, 3.0], 5)
    hits = np.minimum(sizes, np.arange(15) % 3)
    for reduction in (Proportion(), ATOM):
        score = Measured.of(Arm.of_ratio(hits, sizes), reduction, grouped=True, largest=3)
        (found,) = intervals([score], seed=0, level=0.95)
        expected = grouped_limits(score.arm, UNIT, 3, 0.025)
        assert found is not None
        assert expected == (found.lower, found.upper)


def test_zeros_are_combined_from_wilson_and_the_bootstrap_of_the_others() -> None:
    found = made(ZEROS, ATOM)
    others = ZEROS[ZEROS != 0]
    (rest,) = bootstrap_t(
        [ArmContrast((Arm.of_mean(np.where(ZEROS != 0, ZEROS, np.nan)),))], seed=0
    )
    assert rest is not None
    low, high = rest.limit(0.025), rest.limit(0.975)
    share = stats.binomtest(len(ZEROS) - len(others), len(ZEROS)).proportion_ci(method="wilson")
    assert found is not None
    assert found.lower == pytest.approx((1 - share.high) * low, rel=1e-12)
    assert found.upper == pytest.approx((1 - share.low) * high, rel=1e-12)


def test_an_atom_at_the_other_end_gives_the_mirrored_interval() -> None:
    found, mirrored = made(1 - ZEROS, Mean(UNIT, (1.0,))), made(ZEROS, ATOM)
    assert found is not None
    assert mirrored is not None
    assert found.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)
    assert found.upper == pytest.approx(1 - mirrored.lower, abs=1e-12)


def test_without_a_single_zero_the_interval_still_allows_for_them() -> None:
    found, plain = made(SMOOTH[:8], ATOM), made(SMOOTH[:8], PLAIN)
    assert found is not None
    assert plain is not None
    # Wilson's upper limit of 0 in 8 is 0.324.
    assert found.lower <= 0.68 * plain.lower
    assert found.upper == plain.upper


def test_betting_on_another_range_is_betting_on_the_scaled_scores() -> None:
    found = made(6 * SMOOTH - 2, Mean(Range(-2, 4)), kind=Intervals.BOUNDED)
    low, high = mean_limits(SMOOTH, 0.025)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx((6 * low - 2, 6 * high - 2), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=8, max_size=25),
    st.sampled_from([PLAIN, ATOM, Mean(UNIT, (1.0,)), ratio_of(UNIT)]),
    st.sampled_from(Intervals),
)
def test_every_interval_lies_within_the_range_of_its_score(
    values: list[float], reduction: Any, kind: Intervals
) -> None:
    found = made(values, reduction, kind=kind)
    if found is not None:
        assert 0 <= found.lower <= found.upper <= 1


def test_a_skewed_sample_near_the_end_is_cut() -> None:
    values = np.append(np.full(20, 0.99) + np.arange(20) / 2500, 0.2)
    uncut, cut = made(values, Mean()), made(values, PLAIN)
    assert uncut is not None
    assert cut is not None
    assert uncut.upper > 1
    assert uncut.lower < 0
    assert (cut.lower, cut.upper) == (0.0, 1.0)


def test_scores_share_their_resamples_whatever_else_is_measured() -> None:
    arms = [Measured.of(Arm.of_mean(values), PLAIN) for values in (SMOOTH, SMOOTH**2)]
    zero = Measured.of(Arm.of_mean(ZEROS), ATOM)
    both = intervals([arms[0], zero, arms[1]], seed=4, level=0.95)
    assert [both[0], both[2]] == intervals(arms, seed=4, level=0.95)
    assert both[1] == intervals([zero], seed=4, level=0.95)[0]


def false_passes(reduction: Any, kind: Intervals, trials: int = 200) -> float:
    """Share of samples of 8 with 10 % zeros, mean .85, whose whole interval lies above .87."""
    rng = np.random.default_rng(8)
    passed = 0
    for trial in range(trials):
        values = np.where(rng.random(8) < 0.1, 0.0, rng.normal(0.85 / 0.9, 0.01, 8))
        score = Measured.of(Arm.of_mean(values), reduction)
        (found,) = intervals([score], seed=trial, level=0.95, kind=kind)
        passed += found is not None and found.lower > 0.87
    return passed / trials


def test_a_declared_atom_never_passes_a_model_that_flips() -> None:
    # A sample of 8 without a zero comes in 43 % of the draws, and looks certain without the atom.
    assert false_passes(Mean(UNIT), Intervals.STANDARD) >= 0.3
    assert false_passes(ATOM, Intervals.STANDARD) <= 0.01
    assert false_passes(PLAIN, Intervals.BOUNDED) <= 0.01
