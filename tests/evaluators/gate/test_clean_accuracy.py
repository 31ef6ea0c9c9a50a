"""Bounds of the clean accuracy, on made-up answers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
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
