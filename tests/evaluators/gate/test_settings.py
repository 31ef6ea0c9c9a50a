"""What differs between candidate and baseline beside their scores."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError
from heatproof.evaluators.evaluation.columns import Columns
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.tabulation import image_columns
from heatproof.evaluators.explainers import EXPLAINERS
from heatproof.evaluators.gate.policy import (
    Check,
    Circumstances,
    CleanAccuracy,
    Evaluated,
    On,
    Policy,
    PolicyModel,
    SettingChange,
    Severity,
)
from heatproof.evaluators.gate.settings import WAYS_RUN, difference_of, setting_changes
from heatproof.evaluators.gate.soundness import require_answered
from heatproof.evaluators.images.preprocessing import preset
from heatproof.evaluators.metrics import METRICS
from heatproof.evaluators.queries.class_outputs import Basis, ClassOutput
from heatproof.evaluators.removal import REMOVALS

DELETION, INSERTION = METRICS["deletion"](), METRICS["insertion"]()
SPEC = EvaluationSpec(
    models=("models/a",),
    dataset="datasets/a",
    preprocessing=preset("unit"),
    metrics=(DELETION, INSERTION),
    explainers=(EXPLAINERS["saliency"](),),
    removals=(REMOVALS["black"](),),
    seed=3,
)


def policy(*checks: Check, **changes: Any) -> Policy:
    usual = {"explainers": SPEC.explainers, "removals": SPEC.removals, "seed": SPEC.seed}
    return Policy(checks=checks, **{**usual, **changes})


def evaluated(model: str = "models/a", *, spec: EvaluationSpec = SPEC, **told: Any) -> Evaluated:
    columns = Columns(image_columns((), []), {})
    return Evaluated(model, spec, (), columns, circumstances=Circumstances(**told))


def class_output(activation: str) -> ClassOutput:
    return ClassOutput("models/a", "logits", "logits", 5, activation, False, Basis.GRAPH, "")


def test_equal_settings_are_not_told() -> None:
    rules = policy(Check(metric=DELETION, min=0.1))
    held = evaluated(evaluation="evaluations/a", environment={"numpy": "1"}, policy=rules)
    assert setting_changes(rules, held, held) == ()


def test_models_outputs_data_sets_and_environments_are_told() -> None:
    features = "processor_features"
    before = evaluated(
        "models/a",
        evaluation="evaluations/a",
        environment={"heatproof": "0.1", "numpy": "2", features: "SSE AVX AVX512F"},
        class_output=class_output("softmax"),
    )
    after = evaluated(
        "models/b",
        spec=replace(SPEC, dataset="datasets/b"),
        evaluation="evaluations/b",
        environment={
            "heatproof": "0.2",
            "numpy": "2",
            features: "SSE AVX NEON",
            WAYS_RUN: "models/b: plain 4 x 3 x 1",  # follows the clock, and changes no score
        },
        class_output=class_output("none"),
    )
    assert setting_changes(policy(), after, before) == (
        SettingChange("evaluation", "evaluations/a", "evaluations/b"),
        SettingChange("model", "models/a", "models/b"),
        SettingChange("dataset", "datasets/a", "datasets/b"),
        SettingChange("activation", "softmax", "none"),
        SettingChange("environment.heatproof", "0.1", "0.2"),
        SettingChange("environment.processor_features", "AVX512F", "NEON"),
    )


def test_rules_are_paired_by_what_they_bound() -> None:
    before = policy(
        Check(metric=INSERTION, min=0.2),
        Check(metric=INSERTION, min=0.3, severity=Severity.WARN),
        Check(metric=DELETION, max=0.5, explainer=SPEC.explainers[0]),
        min_images=10,
    )
    after = policy(
        Check(metric=DELETION, max=0.5),
        Check(metric=INSERTION, min=0.2, on=On.MEAN),
        Check(metric=INSERTION, min=0.4, severity=Severity.WARN),
        clean_accuracy=CleanAccuracy(min=0.7),
    )
    found = {
        one.setting: (one.baseline, one.candidate)
        for one in setting_changes(after, evaluated(), evaluated(policy=before))
    }
    rest = "on interval, inconclusive fail, min_scored 0.9, severity fail"
    assert found == {
        "policy.min_images": ("10", "30"),
        "policy.clean_accuracy.min": ("", "0.7"),
        "policy.clean_accuracy.on": ("", "interval"),
        "policy.clean_accuracy.inconclusive": ("", "fail"),
        "policy.clean_accuracy.severity": ("", "fail"),
        "policy.checks[0]": ("", f"deletion: max 0.5, {rest}"),
        "policy.checks[1].on": ("interval", "mean"),
        "policy.checks[2].min": ("0.3", "0.4"),
        "policy.checks": (f"deletion saliency: max 0.5, {rest}", ""),
    }


checks = st.builds(
    Check,
    metric=st.sampled_from([DELETION, INSERTION]),
    explainer=st.sampled_from([None, *SPEC.explainers]),
    min=st.none() | st.sampled_from([0.1, 0.2]),
    on=st.sampled_from(On),
)


@given(st.lists(checks, max_size=4), st.lists(checks, max_size=4))
def test_what_is_told_of_two_sides_is_told_the_other_way_round_of_the_others(
    mine: list[Check], theirs: list[Check]
) -> None:
    one, other = policy(*mine), policy(*theirs)
    there = setting_changes(one, evaluated(policy=one), evaluated(policy=other))
    back = setting_changes(other, evaluated(policy=other), evaluated(policy=one))
    assert sorted((held.baseline, held.candidate) for held in there) == sorted(
        (held.candidate, held.baseline) for held in back
    )
    assert (mine == theirs) <= (there == ())
    assert all(held.baseline != held.candidate for held in there)


def test_rules_that_are_not_known_are_not_told() -> None:
    assert setting_changes(policy(Check(metric=DELETION)), evaluated(), evaluated()) == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (3, 5, "5 → 3"),
        ("", "models/a", "models/a → none"),
        (preset("unit"), replace(preset("unit"), width=9), "width 9 → 0"),
        ((DELETION,), (DELETION, INSERTION), "only in the baseline insertion"),
        ((DELETION,), (METRICS["deletion"](grid=3),), ""),
        (
            (INSERTION,),
            (DELETION,),
            "only in the candidate insertion; only in the baseline deletion",
        ),
    ],
)
def test_a_difference_is_told_in_a_few_words(mine: object, theirs: object, told: str) -> None:
    assert difference_of(mine, theirs) == told


@pytest.mark.parametrize(
    ("rules", "error", "told"),
    [
        (policy(Check(metric=METRICS["deletion"](grid=3))), InvalidArgumentError, "deletion"),
        (policy(Check(metric=DELETION), seed=4), FailedPreconditionError, r"seed \(3 → 4\)"),
        (
            policy(Check(metric=DELETION), model=PolicyModel(preprocessing=preset("tf"))),
            FailedPreconditionError,
            "preprocessing",
        ),
        (
            policy(Check(metric=DELETION), model=PolicyModel(output="other")),
            FailedPreconditionError,
            r"output \(none → other\)",
        ),
        (policy(Check(metric=DELETION), model=PolicyModel()), None, ""),
        (policy(Check(metric=DELETION), model=PolicyModel(preprocessing=preset("unit"))), None, ""),
    ],
)
def test_a_policy_is_held_against_what_was_evaluated(
    rules: Policy, error: type[Exception] | None, told: str
) -> None:
    if error is None:
        require_answered(rules, SPEC)
        return
    with pytest.raises(error, match=told):
        require_answered(rules, SPEC)
