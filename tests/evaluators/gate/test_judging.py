"""The gate's rules on made-up scores."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers.controls.centre import Centre
from heatproof.evaluators.explainers.controls.random import Random
from heatproof.evaluators.gate import judge
from heatproof.evaluators.gate.pairing import require_comparable
from heatproof.evaluators.gate.policy import (
    Check,
    CheckOutcome,
    Evaluated,
    Inconclusive,
    On,
    Policy,
    Severity,
    VerdictOutcome,
)
from heatproof.evaluators.images.preprocessing import Preprocessing, Resize
from heatproof.evaluators.metrics.comparison.occlusion_corrected_deletion import (
    OcclusionCorrectedDeletion,
)
from heatproof.evaluators.metrics.comparison.occlusion_robustness import OcclusionRobustness
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.deletion import Deletion
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.insertion import Insertion
from heatproof.evaluators.metrics.localization.focus import Focus
from heatproof.evaluators.metrics.masking.concordance import Concordance
from heatproof.evaluators.metrics.masking.segment_removal import SegmentRemoval
from heatproof.evaluators.metrics.robustness.explanation_consistency import (
    Background,
    ExplanationConsistency,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.targets import LABEL
from heatproof.evaluators.regions import Boxes
from heatproof.evaluators.removal import Black, RemovalOperator, Replacement
from heatproof.evaluators.removal.layer import Layer
from heatproof.evaluators.statistics.intervals import Intervals

HOLE = Undefined(Reason.DEGENERATE, "constant map")
GOOD = np.random.default_rng(0).normal(0.6, 0.05, 40)


def evaluated(scores: Any, metric: Any = None, parts: Any = None, seed: int = 0) -> Evaluated:
    """An evaluation of one metric with these scores; None is a hole."""
    spec = EvaluationSpec(
        models=("m",),
        preprocessing=Preprocessing(resize=Resize.STRETCH, height=8, width=8),
        metrics=(metric or Insertion(),),
        explainers=(Centre(),),
        removals=(Layer(),),
        seed=seed,
    )
    images = tuple(
        ImageResult(
            image=f"{place:064x}",
            display_name=f"{place}",
            label=None,
            predictions=(),
            scores=(ImageScore(0, score_of(score), parts[place] if parts else {}, {}),),
        )
        for place, score in enumerate(scores)
    )
    columns = tabulated(spec, images)
    return Evaluated("m", spec, summarize(spec, columns), columns)


def score_of(score: Any) -> Any:
    return HOLE if score is None else score if isinstance(score, Undefined) else float(score)


def policy(metric: Any = None, **check: Any) -> Policy:
    return Policy(checks=(Check(metric=metric or Insertion(), **check),))


def outcome(scores: Any, baseline: Any = None, metric: Any = None, **check: Any) -> CheckOutcome:
    base = None if baseline is None else evaluated(baseline, metric)
    verdict = judge(policy(metric, **check), evaluated(scores, metric), base)
    return verdict.checks[0].outcome


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ({"min": 0.5}, CheckOutcome.PASS),
        ({"min": 0.6}, CheckOutcome.INCONCLUSIVE),
        ({"min": 0.7}, CheckOutcome.FAIL),
        ({"max": 0.7}, CheckOutcome.PASS),
        ({"max": 0.5}, CheckOutcome.FAIL),
        ({"min": 0.5, "max": 0.7}, CheckOutcome.PASS),
        ({"min": 0.7, "max": 0.8}, CheckOutcome.FAIL),
        ({"min": 0.55, "on": On.MEAN}, CheckOutcome.PASS),
        ({"min": 0.65, "on": On.MEAN}, CheckOutcome.FAIL),
    ],
)
def test_a_bound_is_held_against_the_whole_interval_or_the_mean(bound: Any, expected: Any) -> None:
    assert outcome(GOOD, **bound) is expected


def test_a_higher_minimum_is_never_easier() -> None:
    order = [CheckOutcome.PASS, CheckOutcome.INCONCLUSIVE, CheckOutcome.FAIL]
    found = [order.index(outcome(GOOD, min=least)) for least in np.linspace(0.5, 0.7, 21)]
    assert found == sorted(found)
    assert set(found) == {0, 1, 2}


def test_the_tolerance_is_granted_once() -> None:
    scores = np.full(40, 0.5)
    assert outcome(scores, min=0.50009, on=On.MEAN) is CheckOutcome.PASS
    assert outcome(scores, min=0.50011, on=On.MEAN) is CheckOutcome.FAIL


def test_nearly_equal_scores_have_no_interval_and_decide_nothing() -> None:
    for scores in (np.full(40, 0.9), np.append(np.full(39, 0.9), 0.1)):
        check = judge(policy(min=0.5), evaluated(scores), None).checks[0]
        assert check.outcome is CheckOutcome.INCONCLUSIVE
        assert check.blocking
        assert "nearly all scores are equal" in check.message


def test_fewer_than_eight_scores_are_inconclusive() -> None:
    assert outcome(np.full(7, 0.9), min=0.5) is CheckOutcome.INCONCLUSIVE
    assert outcome(np.full(7, 0.9), np.full(7, 0.9), max_regression=0.0) is (
        CheckOutcome.INCONCLUSIVE
    )


@pytest.mark.parametrize(
    ("scored", "expected"), [(36, CheckOutcome.PASS), (35, CheckOutcome.NOT_EVALUATED)]
)
def test_nine_tenths_of_the_images_need_a_score(scored: int, expected: Any) -> None:
    assert outcome([*GOOD[:scored], *[None] * (40 - scored)], min=0.2) is expected


def test_bounded_intervals_are_wider_and_shown_with_the_check() -> None:
    rules = policy(min=0.5)
    standard, bounded = (
        judge(replace(rules, interval=kind), evaluated(GOOD), None).checks[0] for kind in Intervals
    )
    assert (standard.outcome, bounded.outcome) == (CheckOutcome.PASS, CheckOutcome.INCONCLUSIVE)
    assert standard.interval is not None
    assert bounded.interval is not None
    assert (standard.interval.method, bounded.interval.method) == ("bootstrap_t", "betting")
    assert bounded.interval.lower < standard.interval.lower


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({"min": 0.9}, VerdictOutcome.FAIL),
        ({"min": 0.9, "severity": Severity.WARN}, VerdictOutcome.WARN),
        ({"min": 0.6}, VerdictOutcome.FAIL),
        ({"min": 0.6, "inconclusive": Inconclusive.WARN}, VerdictOutcome.WARN),
        ({"min": 0.6, "severity": Severity.WARN}, VerdictOutcome.WARN),
        ({"min": 0.5}, VerdictOutcome.PASS),
        ({"min": 0.1, "explainer": Random()}, VerdictOutcome.FAIL),
    ],
)
def test_severity_and_uncertainty_decide_the_verdict(check: Any, expected: Any) -> None:
    assert judge(policy(**check), evaluated(GOOD), None).outcome is expected


def test_an_explainer_of_the_policy_without_a_result_is_no_pass() -> None:
    both = replace(policy(min=0.1), explainers=(Centre(), Random()), removals=(Layer(),))
    verdict = judge(both, evaluated(GOOD), None)
    assert {c.outcome for c in verdict.checks} == {CheckOutcome.PASS, CheckOutcome.NOT_EVALUATED}
    assert verdict.outcome is VerdictOutcome.FAIL


@pytest.mark.parametrize("metric", [Insertion(), Deletion()])
def test_a_candidate_compared_with_itself_passes(metric: Any) -> None:
    verdict = judge(
        policy(metric, max_regression=0.0), evaluated(GOOD, metric), evaluated(GOOD, metric)
    )
    assert verdict.outcome is VerdictOutcome.PASS
    assert verdict.checks[0].regression is not None
    assert verdict.checks[0].regression.p_value == 1.0


def test_a_regression_is_judged_by_the_metrics_direction() -> None:
    worse = GOOD - np.random.default_rng(1).normal(0.2, 0.02, 40)
    for metric, candidate, baseline in [(Insertion(), worse, GOOD), (Deletion(), GOOD, worse)]:
        assert outcome(candidate, baseline, metric, max_regression=0.1) is CheckOutcome.FAIL
        assert outcome(candidate, baseline, metric, max_regression=0.3) is CheckOutcome.PASS
        assert outcome(baseline, candidate, metric, max_regression=0.0) is CheckOutcome.PASS


def test_images_lost_in_one_arm_leave_a_regression_open() -> None:
    assert outcome([*GOOD[:38], None, None], GOOD, max_regression=0.0) is CheckOutcome.PASS
    three = [*GOOD[:37], None, None, None]
    assert outcome(three, GOOD, max_regression=0.0) is CheckOutcome.INCONCLUSIVE
    assert outcome(GOOD, three, max_regression=0.0) is CheckOutcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("tests", "expected"), [(12, CheckOutcome.FAIL), (13, CheckOutcome.INCONCLUSIVE)]
)
def test_too_many_checks_for_eight_pairs_are_inconclusive(tests: int, expected: Any) -> None:
    # 1 / 256 <= 0.05 / 12, but not 0.05 / 13.
    checks = (Check(metric=Insertion(), max_regression=0.0),) * tests
    scores = GOOD[:8]
    verdict = judge(Policy(checks=checks), evaluated(scores - 0.3), evaluated(scores))
    assert {check.outcome for check in verdict.checks} == {expected}


def test_without_a_baseline_regressions_are_skipped_and_shown() -> None:
    assert outcome(GOOD, max_regression=0.1) is CheckOutcome.SKIPPED


def test_a_baseline_evaluated_differently_is_refused_with_its_fields() -> None:
    other = evaluated(GOOD[:39], seed=5)
    with pytest.raises(FailedPreconditionError, match=r"differing fields: seed \(5 → 0\), images"):
        judge(policy(max_regression=0.1), evaluated(GOOD), other)


@pytest.mark.parametrize(
    "check", [{}, {"min": 2.0, "max": 1.0}, {"max_regression": -0.1}, {"min": float("nan")}]
)
def test_an_unsound_check_is_refused(check: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        judge(policy(**check), evaluated(GOOD), None)


def test_ten_regression_checks_raise_a_false_alarm_in_five_percent_of_runs() -> None:
    names = [Insertion(grid=g) for g in range(4, 14)]
    alarms = 0
    for run in range(100):
        rng = np.random.default_rng(run)
        mine, theirs = rng.normal(size=(2, 12, 10))
        alarms += _fails(names, mine, theirs)
    # Binomial standard error 2.2; ten uncorrected checks give 23 to 38.
    assert alarms <= 11


EVALUATED = evaluated(GOOD[:12])
TEMPLATE, SPEC = EVALUATED.results[0], EVALUATED.spec


def _fails(metrics: Any, mine: Any, theirs: Any) -> bool:
    sides = []
    for scores in (mine, theirs):
        spec = replace(SPEC, metrics=tuple(metrics))
        images = tuple(
            ImageResult(
                image=f"{place:064x}",
                display_name="",
                label=None,
                predictions=(),
                scores=tuple(ImageScore(k, float(v), {}, {}) for k, v in enumerate(row)),
            )
            for place, row in enumerate(scores)
        )
        # A regression reads of the summary only how many images were scored: one will do for all.
        template = TEMPLATE
        results = tuple(replace(template, metric=metric) for metric in metrics)
        sides.append(Evaluated("m", spec, results, tabulated(spec, images)))
    checks = tuple(Check(metric=metric, max_regression=0.0) for metric in metrics)
    found = judge(Policy(checks=checks), *sides).checks
    return any(check.outcome is CheckOutcome.FAIL for check in found)


def test_a_place_blind_model_has_no_corrected_deletion() -> None:
    parts = {"random_area": 0.5, "deletion_area": 0.498, "oracle_area": 0.495}
    blind = Undefined(Reason.NO_PLACE_EFFECT, "")
    found = evaluated([blind] * 30, OcclusionCorrectedDeletion(), [parts] * 30)
    summary = found.results[0].summary
    assert (summary.value, summary.scored) == (None, 0)
    assert summary.undefined == {"NO_PLACE_EFFECT": 30}


def test_place_blind_images_are_out_of_the_sums_of_a_ratio_and_counted() -> None:
    seeing = {"random_area": 0.8, "deletion_area": 0.5, "oracle_area": 0.4}
    blind = {"random_area": 0.5, "deletion_area": 0.5, "oracle_area": 0.495}
    no_effect = Undefined(Reason.NO_PLACE_EFFECT, "")
    found = evaluated(
        [0.75] * 10 + [no_effect] * 10, OcclusionCorrectedDeletion(), [seeing] * 10 + [blind] * 10
    )
    summary = found.results[0].summary
    assert summary.value == pytest.approx(0.3 / 0.4, rel=1e-12)
    assert (summary.scored, dict(summary.undefined)) == (10, {"NO_PLACE_EFFECT": 10})


def test_the_tolerance_is_one_of_scores_and_not_of_areas() -> None:
    # A model of many classes: all areas lie far below the tolerance.
    metric = OcclusionCorrectedDeletion()
    rng = np.random.default_rng(0)
    effects = rng.uniform(0.8e-4, 1.2e-4, 40)

    def model(mean: float, spread: float) -> Evaluated:
        scores = np.random.default_rng(1).normal(mean, spread, 40)
        parts = [
            {"random_area": 8e-4, "deletion_area": 8e-4 - s * e, "oracle_area": 8e-4 - e}
            for s, e in zip(scores, effects, strict=True)
        ]
        return evaluated(scores, metric, parts)

    def found(candidate: Evaluated) -> CheckOutcome:
        rule = policy(metric, max_regression=0.05)
        return judge(rule, candidate, model(0.7, 0.1)).checks[0].outcome

    assert found(model(0.2, 0.2)) is CheckOutcome.FAIL
    assert found(model(0.7 - 5e-5, 0.1)) is CheckOutcome.PASS


def changed(found: Evaluated, places: range, **changes: Any) -> Evaluated:
    """The evaluation with something else about some images."""
    images = found.columns.images
    names = {
        "image": "digests",
        "label": "labels",
        "object_mask": "object_masks",
        "group": "groups",
    }
    columns: dict[str, Any] = {
        names[field]: tuple(
            value if place in places else held
            for place, held in enumerate(getattr(images, names[field]))
        )
        for field, value in changes.items()
    }
    return replace(found, columns=replace(found.columns, images=replace(images, **columns)))


OTHERWISE: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "bytes of an image": (
        {}, {"image": "f" * 64},
        r"images \(2 only in the candidate, 1 only in the baseline, '3' first\)",
    ),
    "labels": ({"label": 1}, {"label": 2}, r"labels \(of 2 of 40 images, '3' first\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERWISE)
def test_a_baseline_of_other_images_or_labels_says_which(kind: str) -> None:
    mine, theirs, message = OTHERWISE[kind]
    some = range(3, 5)
    candidate = changed(evaluated(GOOD), some, **mine)
    baseline = changed(evaluated(GOOD), some, **theirs)
    with pytest.raises(FailedPreconditionError, match=f"differing fields: {message}"):
        judge(policy(max_regression=0.1), candidate, baseline)


def test_labels_that_only_one_has_matter_where_they_are_explained() -> None:
    candidate = changed(evaluated(GOOD), range(3, 5), label=1)
    baseline = evaluated(GOOD)
    judge(policy(max_regression=0.1), candidate, baseline)
    specs = [replace(one.spec, target=LABEL) for one in (candidate, baseline)]
    with pytest.raises(FailedPreconditionError, match="labels"):
        judge(
            policy(max_regression=0.1),
            replace(candidate, spec=specs[0]),
            replace(baseline, spec=specs[1]),
        )


def test_labels_that_only_one_has_matter_where_they_choose_donors() -> None:
    for metric, refused in ((Focus(), True), (Concordance(), False)):
        mine = evaluated(GOOD, metric)
        other = changed(mine, range(7, 10), label=1)
        if not refused:
            require_comparable(mine, other)
            continue
        with pytest.raises(FailedPreconditionError, match=r"labels.*3 of 40 images, '7'"):
            require_comparable(mine, other)


@pytest.mark.parametrize(
    ("background", "refused"), [(Background.OBJECT, True), (Background.MAP, False)]
)
@pytest.mark.parametrize("theirs", ["b" * 64, ""])
def test_a_baseline_with_other_masks_is_refused_where_they_are_read(
    background: Background, theirs: str, *, refused: bool
) -> None:
    metric = ExplanationConsistency(background=background)
    mine = changed(evaluated(GOOD, metric), range(40), object_mask="a" * 64)
    other = changed(mine, range(7, 10), object_mask=theirs)
    require_comparable(mine, mine)
    if not refused:
        require_comparable(mine, other)
        return
    with pytest.raises(
        FailedPreconditionError, match=r"object_masks.*3 of 40 images, '7'"
    ) as caught:
        require_comparable(mine, other)
    assert caught.value.metadata == {"differing_fields": "object_masks"}


def test_other_groups_are_refused_where_they_make_the_pairs() -> None:
    for metric, refused in ((Concordance(), True), (OcclusionRobustness(), False)):
        mine = evaluated(GOOD, metric)
        other = changed(mine, range(7, 10), group="ward 3")
        if not refused:
            require_comparable(mine, other)
            continue
        with pytest.raises(FailedPreconditionError, match=r"groups.*3 of 40 images, '7'") as caught:
            require_comparable(mine, other)
        assert caught.value.metadata == {"differing_fields": "groups"}


@pytest.mark.parametrize("side", [None, 2])
def test_another_data_set_is_refused_where_its_boxes_are_regions(side: int | None) -> None:
    metric = SegmentRemoval() if side is None else SegmentRemoval(Boxes(side))
    mine = evaluated(GOOD, metric)
    other = replace(mine, spec=replace(mine.spec, dataset="datasets/other"))
    require_comparable(mine, mine)
    if side is None:
        require_comparable(mine, other)
        return
    with pytest.raises(FailedPreconditionError, match="boxes that came with it") as caught:
        require_comparable(mine, other)
    assert caught.value.metadata == {"differing_fields": "dataset"}


@pytest.mark.parametrize("removal", [Black(), Replacement()])
def test_another_data_set_is_refused_where_its_replacements_are_shown(
    removal: RemovalOperator,
) -> None:
    mine = evaluated(GOOD)
    mine = replace(mine, spec=replace(mine.spec, removals=(removal,)))
    other = replace(mine, spec=replace(mine.spec, dataset="datasets/other"))
    require_comparable(mine, mine)
    if removal == Black():
        require_comparable(mine, other)
        return
    with pytest.raises(FailedPreconditionError, match="replaced by those that came with it"):
        require_comparable(mine, other)


def test_images_that_a_metric_leaves_out_by_its_definition_are_not_missing() -> None:
    """Of 40 images 20 are partners and 1 is left over: 19 of 19 have a score."""
    whole = [0.1] * 19 + [Undefined(Reason.PAIRED, "")] * 20 + [Undefined(Reason.UNPAIRED, "")]
    asked = policy(Concordance(), max=1.0, min_scored=1.0)
    (checked,) = judge(asked, evaluated(whole, Concordance()), None).checks
    assert checked.outcome is not CheckOutcome.NOT_EVALUATED
    one_lost = [*whole[1:], Undefined(Reason.ZERO_COVERAGE, "")]
    (checked,) = judge(asked, evaluated(one_lost, Concordance()), None).checks
    assert checked.outcome is CheckOutcome.NOT_EVALUATED
    assert "18 of 19 images" in checked.message
