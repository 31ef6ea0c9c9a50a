"""Checks that confidence sequences decide: laws, refusals, and how often they err."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.results import (
    ImageResult,
    ImageScore,
    SequentialUnits,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.gate import is_decided, judge
from heatproof.evaluators.gate.policy import (
    Check,
    CheckOutcome,
    Circumstances,
    CleanAccuracy,
    Evaluated,
    On,
    Policy,
    Severity,
)
from heatproof.evaluators.gate.sequential import checks_at_the_end, sequence_summaries
from heatproof.evaluators.gate.soundness import require_sound
from heatproof.evaluators.images.preprocessing import preset
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.removal import REMOVALS
from heatproof.evaluators.statistics.betting import Horizon, mean_limits
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.permutation import holm

INSERTION, DELETION = METRICS["insertion"](), METRICS["deletion"]()
OCD, INVARIANCE = METRICS["occlusion_corrected_deletion"](), METRICS["input_invariance"]()
HOLE = Undefined(Reason.NOT_FINITE, "")
RNG = np.random.default_rng(4)
GOOD = RNG.beta(60, 40, 300)


def evaluated(*columns: Any, groups: Any = (), name: str = "evaluations/a", seed: int = 0) -> Any:
    """Scores by insertion and, if given, deletion, in the order of the data set."""
    spec = EvaluationSpec(
        models=("m",),
        preprocessing=preset("unit"),
        metrics=(INSERTION, DELETION)[: len(columns)],
        explainers=(EXPLAINERS["centre"](),),
        removals=(REMOVALS["black"](),),
        seed=seed,
    )
    images = tuple(
        ImageResult(
            image=f"{place:064x}",
            display_name=str(place),
            label=None,
            predictions=(),
            scores=tuple(
                ImageScore(index, HOLE if score is None else float(score), {}, {})
                for index, score in enumerate(row)
            ),
            group=groups[place] if len(groups) else "",
        )
        for place, row in enumerate(zip(*columns, strict=True))
    )
    held = tabulated(spec, images)
    return Evaluated("m", spec, summarize(spec, held), held, (), Circumstances(evaluation=name))


def first_units(whole: Any, count: int) -> Any:
    """The same evaluation after `count` units, in the order of their hashes."""
    images = whole.columns.images
    units = Units.of(images.digests, images.groups, seed=whole.spec.seed)
    places = np.sort(units.images[units.unit < count])
    results = {index: held.taken(places) for index, held in whole.columns.results.items()}
    columns = type(whole.columns)(images.taken(places), results)
    return replace(whole, columns=columns, taken=SequentialUnits(count, units.count))


def policy(**check: Any) -> Policy:
    return Policy(checks=(Check(metric=INSERTION, **check),), sequential=True)


def in_order(whole: Any, scores: Any) -> Any:
    """Scores in the order of the hashes, the test's own reading of it."""
    images = whole.columns.images
    order = Units.of(images.digests, images.groups, seed=whole.spec.seed)
    return np.asarray(scores)[order.images[np.argsort(order.unit, kind="stable")]]


def test_a_bound_is_held_against_the_sequence_of_the_units_in_their_order() -> None:
    whole = evaluated(GOOD)
    (check,) = judge(policy(min=0.3), whole, None).checks
    lower, upper = mean_limits(in_order(whole, GOOD), 0.025, Horizon.OPEN)
    assert check.interval is not None
    assert (check.interval.lower, check.interval.upper) == (float(lower), float(upper))
    assert (check.interval.method, check.interval.level) == ("confidence_sequence", 0.95)
    assert (check.outcome, check.sequential) == (CheckOutcome.PASS, True)
    assert check.interval.lower < GOOD.mean() < check.interval.upper


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"min": 0.4}, CheckOutcome.PASS),
        ({"min": 0.6}, CheckOutcome.INCONCLUSIVE),
        ({"min": 0.9}, CheckOutcome.FAIL),
        ({"max": 0.8}, CheckOutcome.PASS),
        ({"max": 0.3}, CheckOutcome.FAIL),
        ({"min": 0.4, "max": 0.8}, CheckOutcome.PASS),
    ],
)
def test_a_look_decides_what_the_verdict_on_the_same_units_says(bound: Any, expected: Any) -> None:
    rules, whole = policy(**bound), evaluated(GOOD)
    assert judge(rules, whole, None).checks[0].outcome is expected
    assert is_decided(rules, whole, None) is (expected is not CheckOutcome.INCONCLUSIVE)


@pytest.mark.parametrize("bound", [{"min": 0.5}, {"max": 0.75}, {"max_regression": 0.1}])
def test_what_is_decided_stays_decided(bound: Any) -> None:
    rules, whole = policy(**bound), evaluated(GOOD)
    baseline = evaluated(GOOD + RNG.normal(0, 0.02, 300), name="evaluations/b")
    against = baseline if "max_regression" in bound else None
    looks = [is_decided(rules, first_units(whole, n), against) for n in range(1, 301, 7)]
    assert looks == sorted(looks)
    assert not looks[0]
    assert looks[-1]


def test_a_look_waits_for_every_check() -> None:
    whole = evaluated(GOOD, 1 - GOOD)
    easy, hard = Check(metric=INSERTION, min=0.2), Check(metric=DELETION, max=0.41)
    for checks, expected in (((easy,), True), ((hard,), False), ((easy, hard), False)):
        rules = Policy(checks=checks, sequential=True)
        assert is_decided(rules, first_units(whole, 120), None) is expected


def test_a_look_waits_for_images_without_a_score() -> None:
    holes = np.where(np.arange(300) % 5 == 0, None, GOOD)
    rules = policy(min=0.2)
    assert not is_decided(rules, evaluated(holes), None)
    (check,) = judge(rules, evaluated(holes), None).checks
    assert check.outcome is CheckOutcome.NOT_EVALUATED
    assert is_decided(policy(min=0.2, min_scored=0.5), evaluated(holes), None)


def test_nothing_to_check_decides_nothing() -> None:
    assert not is_decided(policy(max_regression=0.1), evaluated(GOOD), None)


def test_a_regression_is_judged_by_the_sequence_of_the_drops() -> None:
    whole, better = evaluated(GOOD), evaluated(np.minimum(GOOD + 0.3, 1.0), name="evaluations/b")
    (check,) = judge(policy(max_regression=0.1), whole, better).checks
    drops = in_order(whole, np.minimum(GOOD + 0.3, 1.0) - GOOD)
    _, upper = mean_limits((drops + 1) / 2, 0.05, Horizon.OPEN)
    assert check.regression is not None
    assert check.regression.drop == pytest.approx(float(drops.mean()), rel=1e-12)
    assert check.regression.drop_upper_limit == pytest.approx(2 * float(upper) - 1, abs=1e-12)
    assert (check.outcome, check.sequential) == (CheckOutcome.FAIL, True)
    (turned,) = judge(policy(max_regression=0.1), better, whole).checks
    assert turned.outcome is CheckOutcome.PASS
    assert turned.regression is not None
    assert turned.regression.p_value == pytest.approx(1.0)


def test_an_unchanged_model_has_to_be_shown_unchanged() -> None:
    """A fixed number of units passes it at once; whoever may stop at any time must not."""
    whole, same = evaluated(GOOD), evaluated(GOOD, name="evaluations/b")
    rules = policy(max_regression=0.1)
    assert not is_decided(rules, first_units(whole, 10), same)
    assert is_decided(rules, whole, same)
    assert not is_decided(policy(max_regression=0.0), whole, same)


def test_regressions_share_the_correction_for_several() -> None:
    whole = evaluated(GOOD, 1 - GOOD)
    shift = 0.05 + 0.05 * RNG.random(300)
    rival = evaluated(GOOD + shift, 1 - GOOD - shift, name="evaluations/b")
    for severity, tests in ((Severity.FAIL, 2), (Severity.WARN, 1)):
        rules = Policy(
            checks=(
                Check(metric=INSERTION, max_regression=0.02),
                Check(metric=DELETION, max_regression=0.02, severity=severity),
            ),
            sequential=True,
        )
        found = [one.regression for one in judge(rules, whole, rival).checks]
        p_values = [one.p_value for one in found if one is not None and one.p_value is not None]
        first = found[0]
        assert first is not None
        expected = holm(p_values[:tests], tests=tests)[0]
        assert first.adjusted_p_value == pytest.approx(expected, rel=1e-12)
        assert 0 < p_values[0] < expected or tests == 1


def test_a_group_is_one_value() -> None:
    groups = [str(place // 3) if place < 150 else "large" for place in range(300)]
    whole = evaluated(GOOD, groups=groups)
    (check,) = judge(policy(min=0.1), whole, None).checks
    images = whole.columns.images
    order = Units.of(images.digests, images.groups, seed=0)
    means = np.array([GOOD[order.images[order.unit == unit]].mean() for unit in range(51)])
    lower, upper = mean_limits(means, 0.025, Horizon.OPEN)
    assert check.interval is not None
    assert (check.interval.lower, check.interval.upper) == (float(lower), float(upper))
    assert judge(policy(min=0.1), whole, None).sequential == SequentialUnits(51, 51)


def test_a_verdict_says_how_many_units_it_took_of_how_many() -> None:
    whole = evaluated(GOOD)
    stopped = with_sequences(first_units(whole, 64))
    assert judge(policy(min=0.3), stopped, None).sequential == SequentialUnits(64, 300)
    assert judge(policy(min=0.3), whole, None).sequential == SequentialUnits(300, 300)
    fixed = replace(policy(min=0.3), sequential=False)
    assert judge(fixed, whole, None).sequential is None
    assert not judge(fixed, whole, None).checks[0].sequential


def with_sequences(stopped: Any) -> Any:
    results = summarize(stopped.spec, stopped.columns, sequence_summaries)
    return replace(stopped, results=results)


def test_what_stopped_has_no_standard_errors_and_sequences_as_intervals() -> None:
    (result,) = with_sequences(first_units(evaluated(GOOD), 64)).results
    assert (result.summary.units, result.summary.scored) == (64, 64)
    assert result.summary.standard_error is None
    assert result.summary.interval is not None
    assert result.summary.interval.method == "confidence_sequence"


def test_what_stopped_is_judged_by_no_rule_for_a_fixed_number() -> None:
    stopped = with_sequences(first_units(evaluated(GOOD), 64))
    with pytest.raises(FailedPreconditionError, match="stopped after 64 of 300 units") as caught:
        judge(replace(policy(min=0.3), sequential=False), stopped, None)
    assert caught.value.field == "sequential"
    mixed = Policy(
        checks=(Check(metric=INSERTION, min=0.3), Check(metric=INSERTION, min=0.3, on=On.MEAN)),
        sequential=True,
    )
    with pytest.raises(FailedPreconditionError, match="needs all of them") as caught:
        judge(mixed, stopped, None)
    assert caught.value.field == "checks[1]"


def test_a_baseline_that_stopped_early_compares_with_nothing_else() -> None:
    whole, rules = evaluated(GOOD), policy(max_regression=0.1)
    stopped = with_sequences(first_units(evaluated(GOOD, name="evaluations/b"), 64))
    with pytest.raises(FailedPreconditionError, match="the baseline stopped early"):
        judge(rules, whole, stopped)
    mine = with_sequences(first_units(whole, 64))
    assert judge(rules, mine, evaluated(GOOD, name="evaluations/b")).checks[0].regression
    with pytest.raises(FailedPreconditionError, match="differing fields: images"):
        judge(rules, whole, first_units(replace(whole, taken=None), 64))


@pytest.mark.parametrize(
    ("check", "why"),
    [
        (Check(metric=OCD, min=0.5), "no mean"),
        (Check(metric=INSERTION, min=0.5, on=On.MEAN), "chose when to stop"),
        (Check(metric=INSERTION, max_disparity=0.2), "groups"),
        (Check(metric=INVARIANCE, max_regression=0.1), "which way|no finite range"),
        (Check(metric=METRICS["complexity"](), max=0.5), "no finite range"),
        (Check(metric=DELETION, max=0.5, max_regression=0.1), ""),
    ],
)
def test_what_only_all_units_decide_is_told(check: Check, why: str) -> None:
    rules = Policy(checks=(Check(metric=INSERTION, min=0.5), check), sequential=True)
    found = checks_at_the_end(rules)
    assert list(found) == ([1] if why else [])
    if not why:
        return
    require_sound(rules)
    assert not is_decided(rules, evaluated(GOOD, GOOD), None)
    with pytest.raises(InvalidArgumentError, match=why) as caught:
        require_sound(replace(rules, checks=(check,)))
    assert caught.value.field == "sequential"
    require_sound(replace(rules, checks=(check,), sequential=False))


def test_a_mean_average_precision_is_decided_at_the_end() -> None:
    rules = replace(policy(min=0.5), clean_accuracy=CleanAccuracy(min=0.5))
    assert checks_at_the_end(rules) == {}
    assert list(checks_at_the_end(rules, multi_label=True)) == [-1]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0, 1))
def test_no_scores_make_it_fail(scores: list[float], least: float) -> None:
    rules = policy(min=least)
    check = judge(rules, evaluated(scores), None).checks[0]
    assert is_decided(rules, evaluated(scores), None) is (
        check.outcome in {CheckOutcome.PASS, CheckOutcome.FAIL}
    )
    assert check.interval is None or 0 <= check.interval.lower <= check.interval.upper <= 1
