"""What a gate would do, before it does anything, as text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from google.protobuf.message import Message

from heatproof.client.command.output.console import duration
from heatproof.client.documents.captions import caption
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results.estimates import EvaluationEstimate, GateEstimate
from heatproof.client.documents.statements import described
from heatproof.client.report.checks import accuracy_rule, demands
from heatproof.client.report.facts import explained_text, preprocessing_text, sampling_words
from heatproof.client.report.numbers import ABSENT
from heatproof.v1.gate_pb2 import Check, Policy

MIN_UNITS: Final = 8
"""Units of sampling below which the server makes no interval."""

USUAL_MIN_IMAGES: Final = 30
"""`Policy.min_images` where a policy does not set it."""


@dataclass(frozen=True, slots=True)
class PlannedScore:
    """A score that would be computed.

    Attributes:
        model: the model.
        metric: the metric.
        explainer: the explainer; empty for metrics of the model alone.
        removal: the removal operator; empty for metrics that remove nothing.
        predictions: at most so many predictions beside what scores share.
        time: how long these take.
    """

    model: str
    metric: str
    explainer: str
    removal: str
    predictions: str
    time: str


@dataclass(frozen=True, slots=True)
class PlannedCheck:
    """A check that would be made.

    Attributes:
        subject: what is checked.
        bounds: what is demanded.
        severity: `fail` or `warn`.
        predictions: at most so many predictions, beside what scores share, for what it checks.
        time: how long these take.
    """

    subject: str
    bounds: str
    severity: str
    predictions: str
    time: str


@dataclass(frozen=True, slots=True)
class GatePlan:
    """A gate that was planned and not run, as text.

    Attributes:
        preprocessing: all that it sets.
        explained: what of the models' answers is explained.
        images: how many there are, how many count, and what is the unit of sampling.
        class_outputs: how the class scores of each model are read.
        scores: what would be scored.
        shared: predictions that scores share, and how long these take.
        total: predictions in all, likewise.
        time: how long all of it takes, and how that is known.
        checks: the checks, that of the clean accuracy first.
        warnings: what is known already to weaken the verdict.
        sequential: when a sequential gate would stop; empty of another.
    """

    preprocessing: str
    explained: str
    images: str
    class_outputs: tuple[str, ...]
    scores: tuple[PlannedScore, ...]
    shared: tuple[str, str]
    total: tuple[str, str]
    time: str
    checks: tuple[PlannedCheck, ...]
    warnings: tuple[str, ...]
    sequential: str = ""

    @classmethod
    def of(cls, estimate: GateEstimate, *, has_baseline: bool) -> Self:
        """Puts an estimate into words.

        Args:
            estimate: of the gate.
            has_baseline: whether regressions would be measured against something.
        """
        found, policy = estimate.evaluation, estimate.policy
        return cls(
            preprocessing=preprocessing_text(found.spec.preprocessing),
            explained=explained_text(found.spec, policy.model.class_names),
            images=sampling_words(str(found.images), found.sampling),
            class_outputs=tuple(map(described, found.class_outputs)),
            scores=tuple(_scores(estimate)),
            shared=_cost(found, found.shared_predictions),
            total=_cost(found, found.predictions),
            time=_time(found),
            checks=tuple(_checks(estimate, has_baseline=has_baseline)),
            warnings=(*ahead(policy, found.sampling.units), *_at_the_end(estimate)),
            sequential=_sequential(estimate),
        )


def _sequential(estimate: GateEstimate) -> str:
    """From how many units on a sequential gate may stop."""
    policy, units = estimate.policy, estimate.evaluation.sampling.units
    if not policy.sequential or estimate.evaluation.checks_at_the_end:
        return ""
    least = policy.min_images or USUAL_MIN_IMAGES
    if units <= least:
        return f"takes all {units} units of sampling, for nobody looks before {least}"
    return f"stops once every check is decided, after {least} to {units} units of sampling"


def _at_the_end(estimate: GateEstimate) -> Iterator[str]:
    """The checks that keep a sequential gate from stopping early."""
    for number, why in sorted(estimate.evaluation.checks_at_the_end.items()):
        subject = "clean accuracy" if number < 0 else _subject(estimate.policy.checks[number])
        yield f"sequential saves nothing, for all units are needed to decide {subject}: {why}"


def _scores(estimate: GateEstimate) -> Iterator[PlannedScore]:
    for row in estimate.evaluation.rows:
        names = (row["model"], row["metric"], row["explainer"], row["removal"])
        yield PlannedScore(*names, *_cost(estimate.evaluation, row["predictions"]))


def _cost(found: EvaluationEstimate, predictions: int | None) -> tuple[str, str]:
    """Some of the predictions, and how long they take, as text."""
    seconds = None if predictions is None else found.seconds_of(predictions)
    return (
        ABSENT if predictions is None else f"{predictions:,}",
        ABSENT if seconds is None else duration(seconds),
    )


def _time(found: EvaluationEstimate) -> str:
    if found.seconds is None:
        return "too short to be measured"
    tried = f"{found.tried_units} units that were tried"
    return f"about {duration(found.seconds)}, by {tried if found.tried_units else 'earlier runs'}"


def _checks(estimate: GateEstimate, *, has_baseline: bool) -> Iterator[PlannedCheck]:
    policy = estimate.policy
    if policy.HasField("clean_accuracy"):
        rule = accuracy_rule(policy.clean_accuracy)
        yield _check("clean accuracy", rule, ("0", ABSENT), has_baseline=has_baseline)
    for check in policy.checks:
        cost = _cost(estimate.evaluation, estimate.predictions_of(check))
        yield _check(_subject(check), check, cost, has_baseline=has_baseline)


def _check(subject: str, rule: Check, cost: tuple[str, str], *, has_baseline: bool) -> PlannedCheck:
    bounds = ", ".join(demands(rule))
    if rule.HasField("max_regression") and not has_baseline:
        bounds += " (skipped: no --baseline)"
    severities = Check.DESCRIPTOR.enum_types_by_name["Severity"]
    return PlannedCheck(
        subject, bounds, short_name(severities, rule.severity or Check.SEVERITY_FAIL), *cost
    )


def _subject(check: Check) -> str:
    parts: Sequence[Message] = (check.metric, check.explainer, check.removal)
    return " · ".join(filter(None, map(caption, parts)))


def ahead(policy: Policy, units: int) -> Iterator[str]:
    """What is known of a verdict before anything is scored.

    Args:
        policy: the rules.
        units: units of sampling.
    """
    wanted = policy.min_images or USUAL_MIN_IMAGES
    if units < MIN_UNITS and not policy.sequential:
        yield (
            f"{units} units of sampling give no interval, for which {MIN_UNITS} are needed: every "
            'check on one will be inconclusive; give more images, or bound means (on = "mean")'
        )
    elif units < wanted:
        yield f"the verdict will warn of {units} units of sampling, fewer than {wanted}"
