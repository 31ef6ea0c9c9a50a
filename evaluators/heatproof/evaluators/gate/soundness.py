"""What can be said of a policy before anything is evaluated."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from typing import Final

from heatproof.evaluators.errors import FailedPreconditionError, InvalidArgumentError, placed
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Explainer
from heatproof.evaluators.gate.policy import Check, CleanAccuracy, Policy, PolicyModel, Rule
from heatproof.evaluators.gate.sequential import require_stoppable
from heatproof.evaluators.gate.settings import difference_of
from heatproof.evaluators.images.labels import Label
from heatproof.evaluators.metrics.metric import Metric, is_answered_by
from heatproof.evaluators.registry.registry import Reads, Registered
from heatproof.evaluators.removal import RemovalOperator
from heatproof.evaluators.statistics.intervals import Intervals


def require_sound(policy: Policy) -> None:
    """Refuses rules that no evaluation could follow.

    Raises:
        InvalidArgumentError: a check bounds nothing, or a number is out of range; names the field
            below the policy.
    """
    if not policy.checks:
        raise InvalidArgumentError("the policy has no checks; add at least one", field="checks")
    if not 0 <= policy.abs_tolerance < math.inf:
        raise InvalidArgumentError(
            f"abs_tolerance must be finite and at least 0, not {policy.abs_tolerance:g}",
            field="abs_tolerance",
        )
    for number, check in enumerate(policy.checks):
        _require_sound_check(check, f"checks[{number}]")
    if policy.clean_accuracy is not None:
        _require_sound_accuracy(policy.clean_accuracy)
    require_stoppable(policy)


def _require_sound_accuracy(accuracy: CleanAccuracy) -> None:
    """Refuses bounds that no accuracy could meet, or that every one meets."""
    bounds = {"min": accuracy.min, "max_regression": accuracy.max_regression}
    if not any(bound is not None for bound in bounds.values()):
        raise InvalidArgumentError(
            "clean_accuracy bounds nothing: set min or max_regression", field="clean_accuracy"
        )
    for name, bound in bounds.items():
        if bound is not None and not 0 <= bound <= 1:
            raise InvalidArgumentError(
                f"clean_accuracy.{name} must lie in [0, 1], not {bound:g}: an accuracy is a share",
                field=f"clean_accuracy.{name}",
            )


def require_labels(policy: Policy, labels: Sequence[Label | None]) -> None:
    """Refuses a bound of the clean accuracy where images have no label.

    Raises:
        InvalidArgumentError: says how many have none.
    """
    missing = sum(label is None for label in labels)
    if policy.clean_accuracy is not None and missing:
        raise InvalidArgumentError(
            f"clean_accuracy needs a label for every image; {missing} of {len(labels)} have none: "
            "give labels (--labels), or leave clean_accuracy out",
            field="clean_accuracy",
        )


def require_groups(policy: Policy, groups: Sequence[str]) -> None:
    """Refuses to compare groups of images that have none.

    Raises:
        InvalidArgumentError: at the first check that does.
    """
    for number, check in enumerate(policy.checks):
        if check.max_disparity is not None and not any(groups):
            raise InvalidArgumentError(
                "max_disparity compares groups of images, and the images have none: give the "
                "labels (--labels) a column group, or leave max_disparity out",
                field=f"checks[{number}].max_disparity",
            )


def _require_one_model(check: Check, place: str) -> None:
    if Reads.PANEL in check.metric.reads:
        raise InvalidArgumentError(
            f"{place}: {check.metric.name} scores all models together, and a gate judges one of "
            "them: leave the check out, and compare the models (CompareModels, "
            "Client.compare_models)",
            field=f"{place}.metric",
        )


def _require_sound_check(check: Check, place: str) -> None:
    _require_one_model(check, place)
    bounds = ("min", "max", "max_regression", "max_disparity")
    if all(getattr(check, name) is None for name in bounds):
        raise InvalidArgumentError(
            f"{place} bounds nothing: set {', '.join(bounds[:-1])} or {bounds[-1]}", field=place
        )
    for name in bounds:
        value = getattr(check, name)
        if value is not None and not math.isfinite(value):
            raise InvalidArgumentError(
                f"{place}.{name} must be finite, not {value:g}", field=f"{place}.{name}"
            )
    if check.min is not None and check.max is not None and check.min > check.max:
        raise InvalidArgumentError(
            f"{place}: min {check.min:g} is above max {check.max:g}", field=f"{place}.min"
        )
    _require_reachable(check, place)
    for name in ("max_regression", "max_disparity"):
        value = getattr(check, name)
        if value is not None and value < 0:
            raise InvalidArgumentError(
                f"{place}.{name} must be at least 0, not {value:g}", field=f"{place}.{name}"
            )
    if check.max_disparity is not None:
        _require_resampled(check, f"{place}.max_disparity", "max_disparity", "groups")
    if not 0 <= check.min_scored <= 1:
        raise InvalidArgumentError(
            f"{place}.min_scored must lie in [0, 1], not {check.min_scored:g}",
            field=f"{place}.min_scored",
        )


def _require_reachable(check: Check, place: str) -> None:
    """Refuses a bound outside the range of the score, which is one in another unit."""
    scores = check.metric.reduction.range
    for name, bound in (("min", check.min), ("max", check.max)):
        if bound is not None and not scores.lower <= bound <= scores.upper:
            lies = "above" if bound > scores.upper else "below"
            raise InvalidArgumentError(
                f"{place}.{name} is {bound:g}, {lies} every score that {check.metric.name} can "
                f"have ({scores}), so no model could change the outcome: give a bound inside",
                field=f"{place}.{name}",
            )


def require_answerable(policy: Policy, spec: EvaluationSpec) -> None:
    """Refuses a policy of which a check would find no result in an evaluation.

    Raises:
        InvalidArgumentError: names the first such check, and what the evaluation scores instead.
    """
    require_comparable_scores(policy, spec)
    for number, check in enumerate(policy.checks):
        with placed(f"checks[{number}]"):
            _require_metric(check, spec)
            for part in _TAKES:
                _require_part(check, part, getattr(policy, f"{part}s"), getattr(spec, f"{part}s"))


def require_answered(policy: Policy, spec: EvaluationSpec) -> None:
    """Refuses a policy that asks for another evaluation than the one that is to be judged by it.

    What it leaves open of how images and answers are read is as it was evaluated.

    Raises:
        InvalidArgumentError: a check would find no result; names it.
        FailedPreconditionError: lists what the policy says otherwise.
    """
    require_answerable(policy, spec)
    model = policy.model or PolicyModel()
    asked = {"seed": policy.seed, "target": policy.target}
    stated = {name: getattr(model, name) for name in _STATED}
    asked |= {name: value for name, value in stated.items() if value}
    differing = {
        name: difference_of(value, getattr(spec, name))
        for name, value in asked.items()
        if value != getattr(spec, name)
    }
    if differing:
        told = ", ".join(f"{name} ({how})" if how else name for name, how in differing.items())
        raise FailedPreconditionError(
            f"the policy asks for another evaluation than this one; differing fields: {told}; "
            "judge by a policy that says the same, or evaluate anew",
            metadata={"differing_fields": ",".join(differing)},
        )


_STATED: Final = ("preprocessing", "output", "activation")
"""What a policy may leave open of how images and answers are read."""


def require_comparable_scores(policy: Policy, spec: EvaluationSpec) -> None:
    """Refuses to measure regressions in scores that two models cannot be compared by.

    Raises:
        InvalidArgumentError: names the first such check, the parameter and the way out.
    """
    for number, check in enumerate(policy.checks):
        if check.max_regression is None:
            continue
        _require_resampled(
            check, f"checks[{number}].max_regression", "max_regression", "two models"
        )
        _require_own_score(check, f"checks[{number}].max_regression")
        with placed(f"checks[{number}].metric.{check.metric.name}"):
            for metric in spec.metrics:
                if is_answered_by(check.metric, metric):
                    metric.require_comparable()


def _require_resampled(check: Check, place: str, bound: str, compared: str) -> None:
    if not check.metric.reduction.is_resampled:
        raise InvalidArgumentError(
            f"{check.metric.name} scores the set as a whole, so {compared} cannot be compared by "
            f"it image by image: leave {bound} out, and bound it on the mean",
            field=place,
        )


def _require_own_score(check: Check, place: str) -> None:
    if check.metric.is_mutual:
        raise InvalidArgumentError(
            f"{check.metric.name} holds the models against each other, so that none of them can be "
            "worse than the other: leave max_regression out, and bound the score by min",
            field=place,
        )


_TAKES: Final[Mapping[str, Callable[[Metric], bool]]] = {
    "explainer": lambda metric: metric.takes_explainer,
    "removal": lambda metric: metric.takes_removal,
}


def _require_metric(check: Check, spec: EvaluationSpec) -> None:
    if not any(is_answered_by(check.metric, metric) for metric in spec.metrics):
        raise InvalidArgumentError(
            f"the evaluation does not score {check.metric.name} with these parameters; it scores "
            f"{_named(spec.metrics)}",
            field="metric",
        )


def _require_part(
    check: Check, part: str, of_policy: Sequence[Registered], of_spec: Sequence[Registered]
) -> None:
    """Refuses an explainer or a removal operator that no result of the check's metric has."""
    own: Registered | None = getattr(check, part)
    name = check.metric.name
    if not _TAKES[part](check.metric):
        if own is not None:
            raise InvalidArgumentError(
                f"{name} is scored without {part}s; leave {part} out", field=part
            )
        return
    asked = of_policy if own is None else (own,)
    if not asked:
        raise InvalidArgumentError(
            f"{name} needs {part}s, and the policy lists none; add {part}s to it", field=part
        )
    missing = [one for one in asked if one not in of_spec]
    if missing:
        raise InvalidArgumentError(
            f"the evaluation scores {name} with the {part}s {_named(of_spec)}, not with "
            f"{missing[0].name} as the check says it; list it among the {part}s",
            field=part,
        )


def _named(things: Sequence[Registered]) -> str:
    return ", ".join(dict.fromkeys(thing.name for thing in things)) or "none"


def wanted(
    policy: Policy, check: Check
) -> Iterator[tuple[RemovalOperator | None, Explainer | None]]:
    """The removal operators and explainers for which a check must be answered."""
    removals = (check.removal,) if check.removal else policy.removals
    explainers = (check.explainer,) if check.explainer else policy.explainers
    return product(
        removals if check.metric.takes_removal else (None,),
        explainers if check.metric.takes_explainer else (None,),
    )


def compared_results(
    policy: Policy, spec: EvaluationSpec, models: Collection[str], *, has_baseline: bool
) -> frozenset[int]:
    """Indices of the results of which a verdict reads the scores of all images.

    With a baseline, those of both models that a check covers, for their change is told; without, if
    intervals are other than those that the evaluation has made, those of the candidate.
    """
    anew = policy.sequential or policy.interval is not Intervals.STANDARD
    reading = policy.checks if anew or has_baseline else ()
    return frozenset(
        index
        for index, key in enumerate(result_keys(spec))
        if len(key.models) == 1
        and key.models[0] in models
        and any(covers(check, key) for check in reading)
    )


def is_compared(metric: Metric) -> bool:
    """Whether two models can be compared by the scores of a metric, image by image."""
    if metric.is_mutual or not metric.reduction.is_resampled:
        return False
    try:
        metric.require_comparable()
    except InvalidArgumentError:
        return False
    return True


def covers(check: Check, result: ResultKey | MetricResult) -> bool:
    """Whether a check is about a result, whatever its model."""
    return (
        is_answered_by(check.metric, result.metric)
        and check.explainer in (None, result.explainer)
        and check.removal in (None, result.removal)
    )


def is_bounded(check: Rule) -> bool:
    """Whether a check bounds a score, rather than a regression alone."""
    return check.min is not None or check.max is not None
