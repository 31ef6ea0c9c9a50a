"""Bounds of the clean accuracy, on made-up answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.results import (
    ClassProbability,
    CleanPrediction,
    ImageResult,
    ImageScore,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers.controls.centre import Centre
from heatproof.evaluators.gate import judge
from heatproof.evaluators.gate.policy import (
    Check,
    CheckKind,
    CheckOutcome,
    CleanAccuracy,
    Evaluated,
    On,
    Policy,
    Severity,
    VerdictOutcome,
)
from heatproof.evaluators.gate.soundness import require_labels, require_sound
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.images.preprocessing import Preprocessing, Resize
from heatproof.evaluators.metrics.faithfulness.perturbation_curves.insertion import Insertion
from heatproof.evaluators.removal.layer import Layer

IMAGES = 100


def answered(hits: int, *, labelled: int = IMAGES, model: str = "m") -> Evaluated:
    """Images of which the first `hits` are answered rightly; all insertion scores are 0.8."""
    spec = EvaluationSpec(
        models=(model,),
        preprocessing=Preprocessing(resize=Resize.STRETCH, height=8, width=8),
        metrics=(Insertion(),),
        explainers=(Centre(),),
        removals=(Layer(),),
    )
    scores = np.random.default_rng(0).normal(0.8, 0.05, IMAGES)
    images = tuple(
        ImageResult(
            image=f"{place:064x}",
            display_name="",
            label=place % 4 if place < labelled else None,
            predictions=(answer(model, (place if place < hits else place + 1) % 4),),
            scores=(ImageScore(0, float(scores[place]), {}, {}),),
        )
        for place in range(IMAGES)
    )
    columns = tabulated(spec, images)
    return Evaluated(model, spec, summarize(spec, columns), columns)


def answer(model: str, top: int) -> CleanPrediction:
    return CleanPrediction(model, top, (ClassProbability(top, 0.9),))


def policy(**accuracy: Any) -> Policy:
    check = Check(metric=Insertion(), min=0.1)
    return Policy(checks=(check,), clean_accuracy=CleanAccuracy(**accuracy))


@pytest.mark.parametrize(
    ("hits", "bound", "expected"),
    [
        (90, {"min": 0.7}, CheckOutcome.PASS),
        (90, {"min": 0.88}, CheckOutcome.INCONCLUSIVE),
        (90, {"min": 0.99}, CheckOutcome.FAIL),
        (90, {"min": 0.9, "on": On.MEAN}, CheckOutcome.PASS),
        (89, {"min": 0.9, "on": On.MEAN}, CheckOutcome.FAIL),
    ],
)
def test_accuracy_is_held_against_its_bound(hits: int, bound: Any, expected: CheckOutcome) -> None:
    first, *others = judge(policy(**bound), answered(hits), None).checks
    assert (first.check, first.result, first.kind) == (-1, -1, CheckKind.BOUND)
    assert first.outcome is expected
    assert [check.outcome for check in others] == [CheckOutcome.PASS]


def test_a_low_accuracy_fails_the_model_and_one_that_only_warns_does_not() -> None:
    assert judge(policy(min=0.9), answered(30), None).outcome is VerdictOutcome.FAIL
    warned = judge(policy(min=0.9, severity=Severity.WARN), answered(30), None)
    assert warned.outcome is VerdictOutcome.WARN


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (90, 90, CheckOutcome.PASS),
        (95, 60, CheckOutcome.PASS),
        (50, 90, CheckOutcome.FAIL),
    ],
)
def test_accuracy_is_compared_with_the_baseline_image_by_image(
    mine: int, theirs: int, expected: CheckOutcome
) -> None:
    rules = policy(max_regression=0.05)
    baseline = answered(theirs, model="n")
    first = judge(rules, answered(mine), baseline).checks[0]
    assert (first.kind, first.outcome) == (CheckKind.REGRESSION, expected)
    assert first.regression is not None
    assert first.regression.drop == pytest.approx((theirs - mine) / IMAGES)


def test_the_candidates_labels_hold_for_the_baseline_too() -> None:
    first = judge(policy(max_regression=0.0), answered(90), answered(90, labelled=0)).checks[0]
    assert first.outcome is CheckOutcome.PASS


def test_without_a_baseline_a_regression_is_skipped() -> None:
    first = judge(policy(max_regression=0.1), answered(90), None).checks[0]
    assert first.outcome is CheckOutcome.SKIPPED


def test_missing_labels_are_never_a_pass() -> None:
    verdict = judge(policy(min=0.1), answered(90, labelled=40), None)
    assert verdict.checks[0].outcome is CheckOutcome.NOT_EVALUATED
    assert verdict.outcome is VerdictOutcome.FAIL
    assert "40 of 100 images have a label" in verdict.checks[0].message


@pytest.mark.parametrize(
    ("bounds", "field"),
    [({}, "clean_accuracy"), ({"min": 70.0}, "clean_accuracy.min"),
     ({"max_regression": -0.1}, "clean_accuracy.max_regression"),
     ({"min": float("nan")}, "clean_accuracy.min")],
)  # fmt: skip
def test_bounds_that_are_no_shares_are_refused(bounds: Any, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        require_sound(policy(**bounds))
    assert caught.value.field == field


@pytest.mark.parametrize(("labels", "refused"), [([0, 1], False), ([0, None], True)])
def test_labels_are_asked_for_before_anything_runs(
    labels: Sequence[int | None], *, refused: bool
) -> None:
    require_labels(Policy(checks=()), labels)
    if not refused:
        require_labels(policy(min=0.5), labels)
        return
    with pytest.raises(InvalidArgumentError, match=r"1 of 2 have none.*--labels"):
        require_labels(policy(min=0.5), labels)


def ranked(noise: float, *, model: str = "m", unanswered: int = 0) -> Evaluated:
    """Images with sets of two classes, told apart the worse the more noise there is."""
    whole = answered(IMAGES, model=model)
    rng = np.random.default_rng(3)
    shown = rng.random((IMAGES, 2)) < 0.4
    logits = shown + noise * rng.normal(size=shown.shape)
    images = tuple(
        ImageResult(
            image=f"{place:064x}",
            display_name="",
            label=None,
            predictions=(
                CleanPrediction(model, 0, ())
                if place < unanswered
                else replace(answer(model, 0), logits=tuple(logits[place].tolist())),
            ),
            scores=(ImageScore(0, 0.8 + 0.001 * place, {}, {}),),
            labels=LabelSet(tuple(np.flatnonzero(shown[place]).tolist())),
        )
        for place in range(IMAGES)
    )
    columns = tabulated(whole.spec, images)
    return Evaluated(model, whole.spec, summarize(whole.spec, columns), columns)


@pytest.mark.parametrize(
    ("noise", "expected"),
    [(0.3, CheckOutcome.PASS), (0.6, CheckOutcome.INCONCLUSIVE), (3.0, CheckOutcome.FAIL)],
)
def test_of_sets_of_classes_the_mean_average_precision_is_held_against_the_bound(
    noise: float, expected: CheckOutcome
) -> None:
    first = judge(policy(min=0.85), ranked(noise), None).checks[0]
    assert (first.check, first.outcome) == (-1, expected), first.message


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        (0.4, 0.4, CheckOutcome.PASS),
        (0.3, 1.0, CheckOutcome.PASS),
        (2.0, 0.3, CheckOutcome.FAIL),
    ],
)
def test_the_mean_average_precision_is_compared_with_the_baseline(
    mine: float, theirs: float, expected: CheckOutcome
) -> None:
    candidate, baseline = ranked(mine), ranked(theirs, model="n", unanswered=2)
    first = judge(policy(max_regression=0.05), candidate, baseline).checks[0]
    assert (first.kind, first.outcome) == (CheckKind.REGRESSION, expected), first.message
    assert first.regression is not None
    assert first.regression.drop is not None
    assert first.regression.pairs == IMAGES - 2
    expected_drop = average(theirs) - average(mine)
    assert first.regression.drop == pytest.approx(expected_drop, abs=1e-9)


def average(noise: float) -> float:
    """The mean average precision of `ranked`, without its first two images."""
    rng = np.random.default_rng(3)
    shown = rng.random((IMAGES, 2)) < 0.4
    logits = (shown + noise * rng.normal(size=shown.shape)).astype(np.float32)[2:]
    values = []
    for index in range(2):
        hits = shown[2:, index][np.argsort(-logits[:, index])]
        values.append((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())
    return float(np.mean(values))


def test_sets_of_classes_that_differ_cannot_be_compared() -> None:
    candidate, baseline = ranked(0.4), ranked(0.4, model="n")
    first, *others = baseline.columns.images.labels
    labels = (LabelSet((0,)) if first != LabelSet((0,)) else LabelSet(), *others)
    images = replace(baseline.columns.images, labels=labels)
    other = replace(baseline, columns=replace(baseline.columns, images=images))
    with pytest.raises(FailedPreconditionError, match="labels"):
        judge(policy(max_regression=0.05), candidate, other)
