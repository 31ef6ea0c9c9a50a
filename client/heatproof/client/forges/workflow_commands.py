"""Workflow commands of GitHub Actions: what blocks a model, shown at the lines of its policy.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Final

from heatproof.client.forges.policy_lines import PolicyLines
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.failures import NO_VERDICT, Failure

SHOWN: Final = 10
"""Annotations of one level that GitHub shows of a step; it drops the rest in silence."""

_LEVELS: Final = {"bad": "error", "warning": "warning", "quiet": "notice"}
"""Levels of annotations, by the tone of a check; one that passed has none."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """Something that a forge shows beside a line of a file.

    Attributes:
        level: `error`, `warning` or `notice`.
        title: what it is about.
        message: what it says.
        file: the file, as the forge knows it; empty without one.
        line: the line, from 1; None without one.
    """

    level: str
    title: str
    message: str
    file: str = ""
    line: int | None = None

    @property
    def command(self) -> str:
        """The workflow command that makes GitHub show it."""
        place = {"file": self.file, "line": "" if self.line is None else str(self.line)}
        held = {name: value for name, value in {**place, "title": self.title}.items() if value}
        properties = ",".join(f"{name}={_property(value)}" for name, value in held.items())
        return f"::{self.level} {properties}::{_data(self.message)}"


def stopping(token: str) -> str:
    """The command after which the runner reads none, until `going_on` with the same token."""
    return f"::stop-commands::{token}"


def going_on(token: str) -> str:
    """The command that ends `stopping`."""
    return f"::{token}::"


def of_verdict(judged: Judgement, policy: PolicyLines | None) -> list[Annotation]:
    """Those of a verdict: a check that blocks is an error, one that warns or is skipped less."""
    made = [
        _of_check(row, held.check, policy)
        for row, held in zip(judged.checks, judged.report.verdict.checks, strict=True)
        if row.tone in _LEVELS
    ]
    return _shown(made)


def of_failure(failure: Failure, policy: PolicyLines | None) -> Annotation:
    """That of a gate without a verdict, at the line of the policy that is at fault."""
    line = None if policy is None else policy.fault or policy.of_field(failure.field)
    title, told = f"Heatproof gate: {NO_VERDICT}", f"{failure.reason}: {failure.message}"
    if policy is None or line is None:
        return Annotation("error", title, told)
    return Annotation("error", title, told, policy.file, line)


def _of_check(row: CheckRow, check: int, policy: PolicyLines | None) -> Annotation:
    told = f"{row.outcome}: {row.message}"
    title = f"Heatproof: {row.subject}"
    file, line = ("", None) if policy is None else (policy.file, policy.of_check(check))
    return Annotation(_LEVELS[row.tone], title, told, file, line)


def _shown(made: Iterable[Annotation]) -> list[Annotation]:
    """As many of each level as GitHub shows, the last of which counts those that are left out."""
    by_level = sorted(made, key=attrgetter("level"))  # error, notice, warning; else as they come
    groups = (list(group) for _, group in groupby(by_level, attrgetter("level")))
    return [one for group in groups for one in _limited(group)]


def _limited(group: Sequence[Annotation]) -> list[Annotation]:
    if len(group) <= SHOWN:
        return list(group)
    kept = list(group[: SHOWN - 1])
    told = f"{len(group) - len(kept)} more are not shown here; the report has them all"
    return [*kept, Annotation(group[0].level, "Heatproof", told)]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
