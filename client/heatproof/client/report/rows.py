"""What every rendering of a report shows, as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.documents.statements import described
from heatproof.v1.gate_pb2 import Check, CheckResult, Verdict
from heatproof.v1.preprocessing_pb2 import Preprocessing
from heatproof.v1.results_pb2 import (
    CleanPrediction,
    Direction,
    ImageResult,
    Interval,
    MetricResult,
    ModelWarning,
    Sampling,
    Summary,
)

ARROWS = {
    Direction.DIRECTION_HIGHER_IS_BETTER: "↑",
    Direction.DIRECTION_LOWER_IS_BETTER: "↓",
    Direction.DIRECTION_CLOSER_TO_ZERO: "→0",
}
"""What a good score is."""

ABSENT = "\N{EN DASH}"
"""Stands where there is no number."""

VERDICTS = {
    Verdict.OUTCOME_PASS: "PASS",
    Verdict.OUTCOME_WARN: "PASS WITH WARNINGS",
    Verdict.OUTCOME_FAIL: "FAIL",
}


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A score over the data set.

    Attributes:
        model: name of the model.
        metric: the metric with the parameters that tell it from its namesakes.
        removal: the removal operator; empty if there is none.
        explainer: the explainer; empty if there is none.
        arrow: what a good score is.
        score: the estimate, or a dash.
        interval: its interval, or a dash.
        scored: images with a score, of all.
        undefined: reasons of the others, with their counts.
    """

    model: str
    metric: str
    removal: str
    explainer: str
    arrow: str
    score: str
    interval: str
    scored: str
    undefined: str

    @property
    def subject(self) -> str:
        """Metric, explainer and removal operator in one line."""
        return " · ".join(part for part in (self.metric, self.explainer, self.removal) if part)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check with the score it was held against.

    Attributes:
        result: the score; None for a check that has none.
        outcome: `pass`, `fail`, `inconclusive`, `not evaluated` or `skipped`.
        bound: what was demanded.
        severity: `fail` or `warn`.
        blocking: whether it fails the model.
        message: the whole comparison in one sentence.
        regression: whether it compares with the baseline.
        interval: the interval that it was held against, or a dash.
    """

    result: ResultRow | None
    outcome: str
    bound: str
    severity: str
    blocking: bool
    message: str
    regression: bool
    interval: str

    @property
    def subject(self) -> str:
        """What was checked, in one line."""
        return self.result.subject if self.result else "no result"

    @property
    def tone(self) -> str:
        """`good`, `bad`, `warning` or `quiet`."""
        if self.blocking:
            return "bad"
        return {"pass": "good", "skipped": "quiet"}.get(self.outcome, "warning")


@dataclass(frozen=True, slots=True)
class CleanRow:
    """A model's answer to a clean image.

    Attributes:
        image: name of the image.
        model: name of the model.
        top: the most probable class.
        probability: its probability in per cent.
        label: the true class; empty if it is not known.
        right: whether the top class is the label; None without one.
    """

    image: str
    model: str
    top: str
    probability: str
    label: str
    right: bool | None


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names of classes by index.

    Attributes:
        names: the names; empty if they are not known.
    """

    names: Sequence[str] = ()

    def __getitem__(self, index: int) -> str:
        return self.names[index] if index < len(self.names) else f"class {index}"


def verdict_line(report: GateReport) -> str:
    """The verdict in words."""
    return VERDICTS.get(report.verdict.outcome, "FAIL")


def tally(rows: Iterable[CheckRow]) -> str:
    """How many checks had which outcome."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.outcome] = counts.get(row.outcome, 0) + 1
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())


def result_rows(report: Report) -> list[ResultRow]:
    """The scores, in the order of the results."""
    captions = report.captions
    return [_result_row(captions, result, image_count(report)) for result in report.results]


def check_rows(report: GateReport) -> list[CheckRow]:
    """The checks, in the order of the verdict."""
    results = result_rows(report)
    return [_check_row(report, results, held) for held in report.verdict.checks]


def clean_rows(report: Report, classes: ClassNames) -> list[CleanRow]:
    """The clean answers: image by image, model by model."""
    captions = report.captions
    return [
        _clean_row(captions, image, prediction, classes)
        for image in report.images
        for prediction in image.predictions
    ]


def number(value: float) -> str:
    """A score in four significant digits."""
    text = f"{value:.4g}"
    return "0" if text == "-0" else text


def estimate(summary: Summary) -> str:
    """The estimate, or a dash."""
    return number(summary.value) if summary.HasField("value") else ABSENT


def interval(summary: Summary) -> str:
    """The interval, or a dash."""
    return ends(summary.interval) if summary.HasField("interval") else ABSENT


def ends(held: Interval) -> str:
    """The ends of an interval."""
    return f"[{number(held.lower)}, {number(held.upper)}]"


def preprocessing_text(held: Preprocessing) -> str:
    """All that a preprocessing sets, in one line."""
    parts = []
    for field, value in held.ListFields():
        if field.enum_type is not None:
            text = short_name(field.enum_type, value)
        elif field.is_repeated:
            text = "[" + ", ".join(map(number, value)) + "]"
        else:
            text = number(value) if isinstance(value, float) else str(value)
        parts.append(f"{field.name} {text}")
    return ", ".join(parts)


def accuracy_rows(report: Report) -> list[tuple[str, str, str]]:
    """Clean accuracy of each model: its name, the accuracy and how many images were labelled."""
    captions = report.captions
    return [
        (
            captions.model(name),
            f"{summary.value:.1%}" if summary.HasField("value") else ABSENT,
            f"{summary.scored} of {image_count(report)}",
        )
        for name, summary in sorted(report.evaluation.clean_accuracy.items())
    ]


def class_output_rows(report: Report) -> list[tuple[str, str]]:
    """How the class scores of each model are read: its name, and output and activation in words."""
    captions = report.captions
    return [
        (captions.model(held.model), described(held)) for held in report.evaluation.class_outputs
    ]


def warning_lines(report: Report) -> list[str]:
    """What makes scores doubtful, then what else a verdict warns of; nothing twice."""
    captions = report.captions
    several = len(report.models) > 1
    lines = [
        f"{captions.model(held.model)}: {_warning(held)}" if several else _warning(held)
        for held in report.evaluation.warnings
    ]
    if isinstance(report, GateReport):
        known = {_warning(held) for held in report.evaluation.warnings}
        lines += [text for text in report.verdict.warnings if text not in known]
    return lines


def _warning(held: ModelWarning) -> str:
    """A warning as verdicts write it too."""
    return f"{held.reason}: {held.text}"


def image_count(report: Report) -> int:
    """Images of different bytes: equal ones count once."""
    return report.evaluation.sampling.images or len(report.images)


def sampling_text(report: Report) -> str:
    """How many images there are, how many count, and what is the unit of sampling."""
    held = report.evaluation.sampling
    text = str(len(report.images))
    if held.copies:
        text += f", of which {held.copies} are copies of others and count once"
    if held.unit == Sampling.UNIT_GROUP:
        text += f"; intervals and tests count {held.units} groups (n = {held.units})"
    return text


def model_line(report: Report) -> str:
    """The models with their digests."""
    captions = report.captions
    return ", ".join(
        f"{captions.model(model.name)} ({short_digest(model.name)})" for model in report.models
    )


def _result_row(captions: Captions, result: MetricResult, images: int) -> ResultRow:
    undefined = sorted(result.summary.undefined.items())
    return ResultRow(
        **captions.row(result),
        arrow=ARROWS.get(result.direction, ""),
        score=estimate(result.summary),
        interval=interval(result.summary),
        scored=f"{result.summary.scored}/{images}",
        undefined=", ".join(f"{reason} {count}" for reason, count in undefined),
    )


def _check_row(report: GateReport, results: Sequence[ResultRow], held: CheckResult) -> CheckRow:
    outcomes = CheckResult.DESCRIPTOR.enum_types_by_name["Outcome"]
    severities = Check.DESCRIPTOR.enum_types_by_name["Severity"]
    rule = _rule(report, held)
    is_regression = held.kind == CheckResult.KIND_REGRESSION
    result = _checked(report, results, held)
    shown = result.interval if result else ABSENT
    return CheckRow(
        result=result,
        outcome=short_name(outcomes, held.outcome).replace("_", " "),
        bound=_regression_bound(rule) if is_regression else _bound(rule),
        severity=short_name(severities, held.severity or Check.SEVERITY_FAIL),
        blocking=held.blocking,
        message=held.message,
        regression=is_regression,
        interval=ends(held.interval) if held.HasField("interval") else shown,
    )


def _checked(
    report: GateReport, results: Sequence[ResultRow], held: CheckResult
) -> ResultRow | None:
    """The score that a check was held against; that of the clean accuracy is no result."""
    if held.check < 0:
        return _accuracy_row(report)
    return results[held.result] if 0 <= held.result < len(results) else None


def _accuracy_row(report: GateReport) -> ResultRow:
    summary = report.evaluation.clean_accuracy.get(report.model, Summary())
    return ResultRow(
        model=report.captions.model(report.model),
        metric="clean accuracy",
        removal="",
        explainer="",
        arrow=ARROWS[Direction.DIRECTION_HIGHER_IS_BETTER],
        score=estimate(summary),
        interval=interval(summary),
        scored=f"{summary.scored}/{image_count(report)}",
        undefined="",
    )


def _rule(report: GateReport, held: CheckResult) -> Check:
    """The rule behind a check; that of the clean accuracy as a check of the same bounds."""
    if held.check >= 0:
        return report.policy.checks[held.check]
    accuracy = report.policy.clean_accuracy
    rule = Check(on=accuracy.on)
    if accuracy.HasField("min"):
        rule.min = accuracy.min
    rule.max_regression = accuracy.max_regression
    return rule


def _bound(check: Check) -> str:
    parts = [f"≥ {number(check.min)}"] if check.HasField("min") else []
    parts += [f"≤ {number(check.max)}"] if check.HasField("max") else []
    on_mean = " (mean)" if check.on == Check.ON_MEAN else ""
    return " and ".join(parts) + on_mean if parts else "is scored"


def _regression_bound(check: Check) -> str:
    return f"drop ≤ {number(check.max_regression)}"


def _clean_row(
    captions: Captions, image: ImageResult, held: CleanPrediction, classes: ClassNames
) -> CleanRow:
    top = held.top[0] if held.top else None
    label = image.label if image.HasField("label") else None
    return CleanRow(
        image=image.display_name or short_digest(image.image),
        model=captions.model(held.model),
        top=classes[top.class_index] if top else ABSENT,
        probability=f"{top.probability:.1%}" if top else "",
        label="" if label is None else classes[label],
        right=None if label is None or top is None else top.class_index == label,
    )
