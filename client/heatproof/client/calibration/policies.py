"""A calibrated policy as TOML, each bound with the figures that it comes from."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT, InlineTable, Table

from heatproof.client.calibration.bounds import Standing, below
from heatproof.client.calibration.findings import Finding
from heatproof.client.calibration.trials import Chosen
from heatproof.client.documents.captions import caption
from heatproof.client.documents.messages import read
from heatproof.client.report.numbers import Estimate
from heatproof.v1.explainers_pb2 import Explainer
from heatproof.v1.results_pb2 import Summary

LINE_WIDTH: Final = 100
"""Columns of a comment."""

RULE: Final = (
    "A bound lies in the middle between what the model's map reaches and what the best of the "
    "blind maps reaches, which know nothing of the model (random: noise; centre: a hill in the "
    "middle; edges: those of the image): between the lower end of its 95 % interval and the upper "
    "end of theirs. Where that gap is narrower than the map's score lies from the end of its "
    "interval, the map is held against noise alone. Where that is too narrow too but the score is "
    "better, the check warns only, on the mean; else there is none. Figures are those of the "
    "images above: score [95 % interval]."
)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a calibration says of the clean accuracy.

    Attributes:
        summary: the accuracy.
        obstacle: why it is not bounded; "" if it is.
    """

    summary: Summary
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a policy is written of.

    Attributes:
        told: what was calibrated on what, a line each.
        command: repeats it.
        preprocessing: how the model reads images, as a table of the policy.
        stated: what was said of the class output.
        removal: how regions are hidden.
        seed: of everything random.
        findings: what the evaluation says, in the order of the checks.
        accuracy: of the clean images; None without labels.
    """

    told: tuple[str, ...]
    command: str
    preprocessing: Mapping[str, Any]
    stated: Mapping[str, str]
    removal: Chosen
    seed: int
    findings: tuple[Finding, ...]
    accuracy: Accuracy | None

    @property
    def checked(self) -> tuple[Finding, ...]:
        """What becomes a check, be it one that warns only."""
        return tuple(one for one in self.findings if one.bound.standing is not Standing.LEFT_OUT)

    @property
    def explainers(self) -> tuple[Chosen, ...]:
        """The explainers that checks name: those under test, then controls."""
        found: list[Chosen] = []
        controls: list[Chosen] = [{one.bound.rival: {}} for one in self.checked if _is_guarded(one)]
        for explainer in (*(one.explainer for one in self.checked), *controls):
            if explainer not in found:
                found.append(explainer)
        return tuple(found)


def policy_text(calibration: Calibration) -> str:
    """The policy as TOML with comments.

    Args:
        calibration: holds at least one check.
    """
    document = tomlkit.document()
    for line in _head(calibration):
        document.add(tomlkit.comment(line) if line else tomlkit.nl())
    document.add("explainers", _list(calibration.explainers))
    if any(finding.trial.hides for finding in calibration.checked):  # else a gate refuses them
        document.add("removals", _list([calibration.removal]))
    document.add("seed", tomlkit.item(calibration.seed))
    document.add(tomlkit.nl())
    document.add("model", _model(calibration))
    if calibration.accuracy is not None and not calibration.accuracy.obstacle:
        document.add("clean_accuracy", _accuracy(calibration.accuracy))
    document.add("checks", _checks(calibration.checked))
    return tomlkit.dumps(document)


def _head(calibration: Calibration) -> Iterator[str]:
    for line in calibration.told:
        yield from _wrapped(line)
    yield from ("", "To repeat:", "", f"    {calibration.command}", "")
    yield from _wrapped(RULE)
    yield ""
    for finding in calibration.findings:
        if finding.bound.standing is Standing.LEFT_OUT:
            yield from _left_out(finding)
            yield ""
    accuracy = calibration.accuracy
    if accuracy is not None and accuracy.obstacle:
        yield from _wrapped(
            f"Left out: clean accuracy, {_told(accuracy.summary)}. {accuracy.obstacle}."
        )
        yield ""


def _left_out(finding: Finding) -> Iterator[str]:
    yield from _wrapped(
        f"Left out: {_subject(finding)}, for {finding.bound.reason}. {_figures(finding)}"
    )


def _model(calibration: Calibration) -> Table:
    model = tomlkit.table(is_super_table=not calibration.stated)
    for name, value in calibration.stated.items():
        model.add(name, value)
    model.add("preprocessing", tomlkit.item(dict(calibration.preprocessing)))
    return model


def _accuracy(accuracy: Accuracy) -> Table:
    table = tomlkit.table()
    told = (
        f"Measured: {_told(accuracy.summary)}. The bound lies as far below the lower end as that "
        "lies below the measurement."
    )
    for line in _wrapped(told):
        table.add(tomlkit.comment(line))
    table.add("min", below(accuracy.summary.value, accuracy.summary.interval.lower))
    return table


def _checks(findings: Iterable[Finding]) -> AoT:
    checks = tomlkit.aot()
    for finding in findings:
        checks.append(_check(finding))
        if _is_guarded(finding):
            checks.append(_guard(finding))
    return checks


def _check(finding: Finding) -> Table:
    table = _commented([finding.trial.question, _figures(finding), _weakness(finding)])
    table.add("metric", _inline(finding.trial.metric))
    table.add("explainer", _choice(finding.explainer))
    table.add("min" if finding.higher_is_better else "max", finding.bound.value)
    if finding.bound.standing is Standing.WARNING:
        table.add("on", "mean")
        table.add("severity", "warn")
    return _ended(table, finding)


def _weakness(finding: Finding) -> str:
    """Why it is no check against all blind maps; "" of one."""
    bound = finding.bound
    if not bound.reason:
        return ""
    held = "It warns only" if bound.standing is Standing.WARNING else "Held against noise alone"
    return f"{held}, for {bound.reason}."


def _guard(finding: Finding) -> Table:
    rival = finding.bound.rival
    told = f"The blind map {rival} must not: where it does, the check above means nothing."
    table = _commented([told])
    table.add("metric", _inline(finding.trial.metric))
    table.add("explainer", rival)
    table.add("max" if finding.higher_is_better else "min", finding.bound.value)
    return _ended(table, finding)


def _is_guarded(finding: Finding) -> bool:
    return finding.trial.hides and finding.bound.standing is Standing.CHECK


def _ended(table: Table, finding: Finding) -> Table:
    if finding.min_scored is not None:
        table.add("min_scored", finding.min_scored)
    return table


def _commented(sentences: Iterable[str]) -> Table:
    table = tomlkit.table()
    for sentence in filter(None, sentences):
        for line in _wrapped(sentence[0].upper() + sentence[1:]):
            table.add(tomlkit.comment(line))
    return table


def _figures(finding: Finding) -> str:
    own = f"Measured: {_told(finding.own)} over {finding.own.scored} images"
    blind = [f"{name} {_told(summary)}" for name, summary in finding.controls.items()]
    what = "agreement of blind maps with this one" if finding.trial.blind else "blind maps"
    return f"{own}; {what}: {', '.join(blind)}."


def _told(summary: Summary) -> str:
    return str(Estimate.of(summary))


def _subject(finding: Finding) -> str:
    return f"{finding.trial.name} of {caption(read(Explainer, finding.explainer))}"


def _wrapped(text: str) -> list[str]:
    return wrap(text, LINE_WIDTH - 2, break_long_words=False, break_on_hyphens=False)


def _list(choices: Iterable[Chosen]) -> Any:  # noqa: ANN401  # an item of tomlkit
    array = tomlkit.array()
    for choice in choices:
        array.append(_choice(choice))
    return array


def _choice(choice: Chosen) -> str | InlineTable:
    """The name alone where there are no parameters."""
    ((name, parameters),) = choice.items()
    return _inline(choice) if parameters else name


def _inline(table: Mapping[str, Any]) -> InlineTable:
    made = tomlkit.inline_table()
    for name, value in table.items():
        made.append(name, _inline(value) if isinstance(value, Mapping) else value)
    return made
