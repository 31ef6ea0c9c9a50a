"""Groups of images against each other: what results say of them, and checks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.results import Disparity, ImageResult, ImageScore
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Centre
from heatproof.evaluators.gate import judge
from heatproof.evaluators.gate.policy import (
    Check,
    CheckKind,
    CheckOutcome,
    CheckResult,
    Evaluated,
    On,
    Policy,
)
from heatproof.evaluators.gate.soundness import require_groups, require_sound
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.metrics import (
    Insertion,
    MaxSensitivity,
    Metric,
    OcclusionCorrectedDeletion,
    PointingGame,
)
from heatproof.evaluators.metrics.metric import MetricCategory, MetricFacts
from heatproof.evaluators.outcomes import Direction, Reason, Undefined
from heatproof.evaluators.removal import Black
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.reductions import Entropy, RatioOfMeans, Reduction

HOLE = Undefined(Reason.DEGENERATE, "constant map")
RNG = np.random.default_rng(2)
CAMERAS: Mapping[str, Sequence[Any]] = {
    "north": RNG.normal(0.8, 0.02, 12),
    "south": RNG.normal(0.5, 0.02, 20),
    "west": RNG.normal(0.7, 0.02, 9),
}


def evaluated(
    groups: Mapping[str, Sequence[Any]], metric: Metric | None = None, parts: Any = None
) -> Evaluated:
    """An evaluation of one metric with these scores of each group."""
    metric = metric or Insertion()
    spec = EvaluationSpec(
        models=("m",),
        preprocessing=PRESETS["unit"],
        metrics=(metric,),
        explainers=(Centre(),),
        removals=(Black(),) if metric.takes_removal else (),
    )
    held = [(group, score) for group, scores in groups.items() for score in scores]
    order = np.random.default_rng(0).permutation(len(held))
    images = [
        ImageResult(
            image=f"{place:064x}",
            display_name="",
            label=None,
            predictions=(),
            scores=(ImageScore(0, number(held[place][1]), parts[place] if parts else {}, {}),),
            group=held[place][0],
        )
        for place in order.tolist()
    ]
    columns = tabulated(spec, images)
    return Evaluated("m", spec, summarize(spec, columns), columns)


def number(score: Any) -> Any:
    return score if isinstance(score, Undefined) else float(score)


def disparity_of(found: Evaluated) -> Disparity:
    held = found.results[0].disparity
    assert held is not None
    return held


def named(held: Disparity) -> tuple[str, str]:
    assert held.worst is not None
    assert held.best is not None
    return held.worst.group, held.best.group


def test_the_worst_group_is_told_from_the_best_with_their_scores() -> None:
    held = disparity_of(evaluated(CAMERAS))
    assert named(held) == ("south", "north")
    assert (held.groups, held.small_groups) == (3, 0)
    assert held.worst is not None
    assert held.best is not None
    assert held.worst.summary.value == pytest.approx(np.mean(CAMERAS["south"]), abs=1e-12)
    assert held.worst.summary.scored == 20
    assert held.value == pytest.approx(np.mean(CAMERAS["north"]) - np.mean(CAMERAS["south"]))
    assert held.interval is not None
    assert held.interval.method == "simultaneous"
    assert 0.2 < held.interval.lower < 0.3 < held.interval.upper < 0.4
    assert held.worst.summary.interval is not None
    assert held.worst.summary.interval.level == pytest.approx(1 - 0.05 / 3)


def test_images_of_a_group_are_its_samples_and_groups_those_of_the_score() -> None:
    found = evaluated(CAMERAS)
    assert found.results[0].summary.units == 3
    assert disparity_of(found).worst.summary.units == 20  # type: ignore[union-attr]  # there is one


@pytest.mark.parametrize("metric", [MaxSensitivity(), PointingGame()])
def test_the_direction_of_the_metric_decides_what_is_worst(metric: Metric) -> None:
    hits = {"a": [1.0] * 8 + [0.0] * 2, "b": [1.0] * 3 + [0.0] * 9}
    lower_is_better = metric.direction is Direction.LOWER_IS_BETTER
    assert named(disparity_of(evaluated(hits, metric))) == (
        ("a", "b") if lower_is_better else ("b", "a")
    )


def test_a_ratio_of_means_is_one_of_each_group() -> None:
    """`(RA - DA) / (RA - DA*)` is .5 in one group and .25 in the other."""
    metric = OcclusionCorrectedDeletion()
    ratio = metric.reductions(1)[""]
    assert isinstance(ratio, RatioOfMeans)
    (random, own), (_, oracle) = ratio.numerator, ratio.denominator
    parts = [
        {random: 0.6 + shift, own: 0.6 + shift - 0.2 * scale, oracle: least + shift}
        for least in (0.2, -0.2)
        for shift, scale in zip(np.linspace(0, 0.1, 10), [0.5, 1.5] * 5, strict=True)
    ]
    held = disparity_of(evaluated({"a": [0.5] * 10, "b": [0.5] * 10}, metric, parts))
    assert named(held) == ("b", "a")
    assert held.value == pytest.approx(0.25, abs=1e-9)


def test_images_without_groups_have_no_disparity() -> None:
    assert evaluated({"": CAMERAS["north"]}).results[0].disparity is None


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        ({"a": [0.5] * 7, "b": RNG.random(20)}, (1, 1)),
        ({"a": [HOLE] * 6 + list(RNG.random(7)), "b": RNG.random(20)}, (1, 1)),
        ({f"{place}": RNG.random(8) for place in range(21)}, (21, 0)),
    ],
)
def test_too_few_images_or_too_many_groups_are_not_compared(
    groups: Mapping[str, Sequence[Any]], counts: tuple[int, int]
) -> None:
    held = disparity_of(evaluated(groups))
    assert (held.value, held.interval, held.worst) == (None, None, None)
    assert (held.groups, held.small_groups) == counts


def checked(found: Evaluated, kind: Intervals = Intervals.STANDARD, **check: Any) -> CheckResult:
    metric = found.spec.metrics[0]
    policy = Policy(checks=(Check(metric=metric, **check),), interval=kind)
    (result,) = judge(policy, found, None).checks
    assert result.kind is CheckKind.DISPARITY
    return result


@pytest.mark.parametrize("kind", list(Intervals))
@pytest.mark.parametrize(
    ("most", "outcome"),
    [(0.9, CheckOutcome.PASS), (0.3, CheckOutcome.INCONCLUSIVE), (0.02, CheckOutcome.FAIL)],
)
def test_the_whole_interval_decides(most: float, outcome: CheckOutcome, kind: Intervals) -> None:
    """With many images, for betting intervals are wide."""
    many = {name: np.tile(scores, 8) for name, scores in CAMERAS.items()}
    found = checked(evaluated(many), kind, max_disparity=most)
    assert found.outcome is outcome
    assert "worst 'south'" in found.message
    assert found.interval is not None


def test_other_intervals_are_made_anew() -> None:
    found = evaluated(CAMERAS)
    standard = checked(found, max_disparity=0.3).interval
    bounded = checked(found, Intervals.BOUNDED, max_disparity=0.3).interval
    assert standard is not None
    assert bounded is not None
    assert bounded.upper - bounded.lower > standard.upper - standard.lower


def test_the_estimate_alone_decides_on_the_mean() -> None:
    found = evaluated(CAMERAS)
    value = disparity_of(found).value
    assert value is not None
    assert checked(found, max_disparity=value + 1e-3, on=On.MEAN).outcome is CheckOutcome.PASS
    assert checked(found, max_disparity=value - 1e-3, on=On.MEAN).outcome is CheckOutcome.FAIL


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({"": CAMERAS["north"]}, "images have no groups"),
        ({"a": RNG.random(7), "b": RNG.random(20)}, "1 of 2 groups have at least 8"),
        ({f"{place}": RNG.random(8) for place in range(21)}, "21 groups, of which at most 20"),
    ],
)
def test_what_cannot_be_compared_is_never_a_pass(
    groups: Mapping[str, Sequence[Any]], told: str
) -> None:
    found = checked(evaluated(groups), max_disparity=1.0)
    assert found.outcome is CheckOutcome.NOT_EVALUATED
    assert found.blocking
    assert told in found.message


def test_a_bound_and_a_disparity_are_two_checks_of_one_rule() -> None:
    found = evaluated({name: np.tile(scores, 4) for name, scores in CAMERAS.items()})
    policy = Policy(checks=(Check(metric=Insertion(), min=0.1, max_disparity=0.9, on=On.MEAN),))
    kinds = [(check.kind, check.outcome) for check in judge(policy, found, None).checks]
    assert kinds == [
        (CheckKind.BOUND, CheckOutcome.PASS),
        (CheckKind.DISPARITY, CheckOutcome.PASS),
    ]


class Collapse(Insertion):
    """Insertion, were it reduced to an entropy; lives in this test alone."""

    __slots__ = ()

    facts = MetricFacts(
        name="collapse",
        reference="test",
        category=MetricCategory.FAITHFULNESS,
        direction=Direction.HIGHER_IS_BETTER,
        reads=Insertion.facts.reads,
    )

    @property
    def reduction(self) -> Reduction:
        return Entropy()


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (Check(metric=Insertion(), max_disparity=-0.1), "must be at least 0"),
        (Check(metric=Insertion(), max_disparity=float("nan")), "must be finite"),
        (Check(metric=Collapse(), max_disparity=0.1), "groups cannot be compared"),
    ],
)
def test_an_unsound_bound_is_refused(check: Check, told: str) -> None:
    with pytest.raises(InvalidArgumentError, match=told) as caught:
        require_sound(Policy(checks=(check,)))
    assert caught.value.field == "checks[0].max_disparity"


def test_groups_are_asked_for_before_anything_runs() -> None:
    policy = Policy(checks=(Check(metric=Insertion(), max_disparity=0.1),))
    require_groups(policy, ["a", "b"])
    require_groups(replace(policy, checks=(Check(metric=Insertion(), min=0.1),)), ["", ""])
    with pytest.raises(InvalidArgumentError, match="column group") as caught:
        require_groups(policy, ["", ""])
    assert caught.value.field == "checks[0].max_disparity"
