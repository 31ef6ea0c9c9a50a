"""What is said of a policy before anything is evaluated."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Centre, Random
from heatproof.evaluators.gate.policy import Check, Policy
from heatproof.evaluators.gate.soundness import compared_results, require_answerable, require_sound
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import (
    Deletion,
    Insertion,
    InterModelDeletion,
    OcclusionRobustness,
)
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.removal import Black, White
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.reductions import Entropy, Mean, Reduction

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


@dataclass(frozen=True, slots=True)
class Bounded(Insertion):
    reduction: ClassVar[Reduction] = Mean(range=Range(0, 1))


@pytest.mark.parametrize("bounds", [{"min": 0.0}, {"max": 1.0}, {"min": 0.2, "max": 0.9}])
def test_bounds_inside_the_range_of_the_score_are_sound(bounds: dict[str, float]) -> None:
    require_sound(policy(Check(metric=Bounded(), **bounds)))


@pytest.mark.parametrize(
    ("bounds", "field", "lies"),
    [
        ({"min": 30.0}, "min", "above"),
        ({"min": -0.1}, "min", "below"),
        ({"max": 1.5}, "max", "above"),
        ({"max": -1.0}, "max", "below"),
    ],
)
def test_a_bound_that_no_score_can_cross_is_refused(
    bounds: dict[str, float], field: str, lies: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"{lies} every score.*\[0, 1\]") as caught:
        require_sound(policy(Check(metric=Bounded(), **bounds)))
    assert caught.value.field == f"checks[0].{field}"


@pytest.mark.parametrize(
    ("check", "changes", "has_baseline", "expected"),
    [
        (Check(metric=Insertion(), min=0.1), {}, False, set()),
        (
            Check(metric=Insertion(), explainer=Centre(), min=0.1),
            {},
            True,
            {("m", "centre"), ("n", "centre")},
        ),
        (
            Check(metric=Insertion(), min=0.1),
            {"interval": Intervals.BOUNDED},
            False,
            {("m", "centre"), ("m", "random"), ("n", "centre"), ("n", "random")},
        ),
        (
            Check(metric=Insertion(), explainer=Centre(), max_regression=0.1),
            {},
            True,
            {("m", "centre"), ("n", "centre")},
        ),
        (
            Check(metric=OcclusionRobustness(), max_regression=0.0),
            {},
            True,
            {("m", None), ("n", None)},
        ),
    ],
)
def test_a_verdict_reads_the_images_scores_only_of_what_it_compares(
    check: Check,
    changes: dict[str, Any],
    has_baseline: bool,
    expected: set[tuple[str, str | None]],
) -> None:
    spec = replace(SPEC, models=("m", "n", "other"))
    keys = result_keys(spec)
    found = compared_results(policy(check, **changes), spec, {"m", "n"}, has_baseline=has_baseline)
    assert {
        (keys[index].models[0], keys[index].explainer and keys[index].explainer.name)
        for index in found
    } == expected


@dataclass(frozen=True, slots=True)
class OfTheSet(Insertion):
    @property
    def reduction(self) -> Reduction:
        return Entropy()


def test_a_regression_of_a_score_of_the_set_is_refused() -> None:
    spec = replace(SPEC, metrics=(OfTheSet(),))
    require_answerable(policy(Check(metric=OfTheSet(), min=0.5)), spec)
    with pytest.raises(InvalidArgumentError, match=r"set as a whole.*on the mean") as caught:
        require_answerable(policy(Check(metric=OfTheSet(), max_regression=0.1)), spec)
    assert caught.value.field == "checks[0].max_regression"


def test_a_check_of_a_score_of_several_models_is_refused_before_anything_runs() -> None:
    """A gate judges one model: nothing would ever answer such a check."""
    rules = policy(Check(metric=Insertion(), min=0.1), Check(metric=InterModelDeletion(), min=0.1))
    with pytest.raises(InvalidArgumentError, match=r"inter_model_deletion.*CompareModels") as told:
        require_sound(rules)
    assert told.value.field == "checks[1].metric"
