"""What is said of a policy before anything is evaluated."""

from dataclasses import replace
from typing import Any

import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.explainers import Centre, Random
from heatproof.evaluators.gate.policy import Check, Policy
from heatproof.evaluators.gate.soundness import require_answerable
from heatproof.evaluators.metrics import Deletion, Insertion, OcclusionRobustness
from heatproof.evaluators.preprocessing import PRESETS
from heatproof.evaluators.removal import Black, White
from heatproof.evaluators.spec import EvaluationSpec

SPEC = EvaluationSpec(
    models=("m",),
    preprocessing=PRESETS["unit"],
    metrics=(Insertion(), OcclusionRobustness()),
    explainers=(Centre(), Random(4)),
    removals=(Black(),),
)


def policy(*checks: Check, **changes: Any) -> Policy:
    rules = Policy(checks=checks, explainers=SPEC.explainers, removals=SPEC.removals)
    return replace(rules, **changes)


@pytest.mark.parametrize(
    "check",
    [
        Check(metric=Insertion()),
        Check(metric=Insertion(), explainer=Random(4)),
        Check(metric=Insertion(), explainer=Centre(), removal=Black()),
        Check(metric=OcclusionRobustness()),
        Check(metric=OcclusionRobustness(), removal=Black()),
    ],
)
def test_a_check_of_what_is_scored_is_answerable(check: Check) -> None:
    require_answerable(policy(check), SPEC)


@pytest.mark.parametrize(
    ("check", "changes", "field", "words"),
    [
        (Check(metric=Deletion()), {}, "metric", "insertion, occlusion_robustness"),
        (Check(metric=Insertion(7)), {}, "metric", "these parameters"),
        (Check(metric=Insertion(), explainer=Random(5)), {}, "explainer", "centre, random"),
        (Check(metric=Insertion(), removal=White()), {}, "removal", "not with white"),
        (Check(metric=OcclusionRobustness(), explainer=Centre()), {}, "explainer", "leave"),
        (Check(metric=Insertion()), {"explainers": ()}, "explainer", "lists none"),
    ],
)
def test_a_check_without_a_result_is_refused(
    check: Check, changes: dict[str, Any], field: str, words: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        require_answerable(policy(Check(metric=OcclusionRobustness()), check, **changes), SPEC)
    assert caught.value.field == f"checks[1].{field}"
    assert words in caught.value.message


def test_an_operator_of_the_policy_that_nothing_was_scored_with_is_refused() -> None:
    rules = policy(Check(metric=Insertion()), removals=(Black(), White()))
    with pytest.raises(InvalidArgumentError) as caught:
        require_answerable(rules, SPEC)
    assert caught.value.field == "checks[0].removal"
    assert "not with white" in caught.value.message
