"""What changed against the baseline, score by score and setting by setting, as rows of text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.results import GateReport
from heatproof.client.report.facts import accuracy_name
from heatproof.client.report.numbers import (
    ABSENT,
    ARROWS,
    SIGNIFICANCE,
    ends,
    number,
    probability,
    signed,
)
from heatproof.client.report.rows import ResultRow
from heatproof.v1.gate_pb2 import ImageChange, ScoreChange
from heatproof.v1.results_pb2 import Direction

CHANGE_HEADS: Final = (
    "score", "baseline", "candidate", "difference", "interval", "corrected p", "shared images",
    "reading",
)  # fmt: skip
"""What the columns of a table of changes hold."""

CHANGE_NUMBERS: Final = CHANGE_HEADS[1:7]
"""Columns that hold numbers."""


SETTING_HEADS: Final = ("setting", "baseline", "candidate")
"""What the columns of a table of settings hold."""

_CHECK: Final = re.compile(r"policy\.checks\[(\d+)\]\.?(.*)")
_DIGEST: Final = re.compile(r"(models|datasets)/sha256-\w+")


@dataclass(frozen=True, slots=True)
class WorstRow:
    """An image whose score got worse.

    Attributes:
        image: its name.
        digest: its digest.
        candidate: the candidate's score.
        baseline: the baseline's.
        drop: how much worse it is.
    """

    image: str
    digest: str
    candidate: str
    baseline: str
    drop: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A score of the candidate against the baseline's on the same images.

    Attributes:
        subject: metric, explainer and removal operator in one line, and what a good score is.
        candidate: the candidate's score, or a dash.
        baseline: the baseline's, or a dash.
        difference: candidate less baseline, or a dash.
        interval: its interval, or a dash.
        p_value: of `there is no difference`, corrected over all changes, or a dash.
        images: how many images both scored, of those that either did.
        reading: `better`, `worse`, or why the data do not tell.
        tone: `good`, `bad` or `quiet`.
        worst: the images whose score got worst, worst first.
    """

    subject: str
    candidate: str
    baseline: str
    difference: str
    interval: str
    p_value: str
    images: str
    reading: str
    tone: str
    worst: tuple[WorstRow, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """All columns, in the order of `CHANGE_HEADS`."""
        numbers = (self.baseline, self.candidate, self.difference, self.interval, self.p_value)
        return self.subject, *numbers, self.images, self.reading


def change_rows(report: GateReport, results: Sequence[ResultRow]) -> tuple[ChangeRow, ...]:
    """The changes, in the order of the verdict; nothing without a baseline."""
    return tuple(_row(report, results, held) for held in report.verdict.changes)


def _row(report: GateReport, results: Sequence[ResultRow], held: ScoreChange) -> ChangeRow:
    difference = held.difference
    is_corrected = difference.HasField("adjusted_p_value")
    reading, tone = _reading(report, held)
    return ChangeRow(
        subject=_subject(report, results, held),
        candidate=number(held.candidate) if held.HasField("candidate") else ABSENT,
        baseline=number(held.baseline) if held.HasField("baseline") else ABSENT,
        difference=signed(difference.difference) if difference.HasField("difference") else ABSENT,
        interval=ends(difference.interval) if difference.HasField("interval") else ABSENT,
        p_value=probability(difference.adjusted_p_value if is_corrected else None),
        images=_images(held),
        reading=reading,
        tone=tone,
        worst=tuple(map(_worst, held.worst)),
    )


def _subject(report: GateReport, results: Sequence[ResultRow], held: ScoreChange) -> str:
    if held.result < 0:
        return f"{accuracy_name(report)} {ARROWS[Direction.DIRECTION_HIGHER_IS_BETTER]}"
    row = results[held.result]
    return f"{row.subject} {row.arrow}".strip()


def _images(held: ScoreChange) -> str:
    either = held.images + held.only_candidate + held.only_baseline
    return str(held.images) if either == held.images else f"{held.images} of {either}"


def _reading(report: GateReport, held: ScoreChange) -> tuple[str, str]:
    """What the difference tells, and its tone; interval and corrected p must both tell."""
    difference = held.difference
    if not difference.HasField("interval"):
        return difference.undefined.detail or difference.undefined.reason, "quiet"
    interval = difference.interval
    if interval.lower <= 0 <= interval.upper or difference.adjusted_p_value >= SIGNIFICANCE:
        return "not told from chance", "quiet"
    return ("better", "good") if _is_better(report, held) else ("worse", "bad")


def _is_better(report: GateReport, held: ScoreChange) -> bool:
    direction = Direction.DIRECTION_HIGHER_IS_BETTER
    if held.result >= 0:
        direction = report.evaluation.results[held.result].direction
    if direction == Direction.DIRECTION_CLOSER_TO_ZERO:
        return abs(held.candidate) < abs(held.baseline)
    is_above = held.difference.difference > 0
    return is_above == (direction == Direction.DIRECTION_HIGHER_IS_BETTER)


def _worst(held: ImageChange) -> WorstRow:
    return WorstRow(
        image=held.display_name or short_digest(held.image),
        digest=held.image,
        candidate=number(held.candidate),
        baseline=number(held.baseline),
        drop=number(held.drop),
    )


@dataclass(frozen=True, slots=True)
class SettingRow:
    """A setting that differs.

    Attributes:
        setting: which one, in words.
        baseline: what it is in the baseline, or a dash.
        candidate: what it is in the candidate, or a dash.
    """

    setting: str
    baseline: str
    candidate: str

    @property
    def cells(self) -> tuple[str, ...]:
        """All columns, in the order of `SETTING_HEADS`."""
        return self.setting, self.baseline, self.candidate

    @property
    def told(self) -> str:
        """How it differs, in one line."""
        return f"{self.baseline} → {self.candidate}"


def setting_rows(report: GateReport, captions: Captions) -> tuple[SettingRow, ...]:
    """The settings, in the order of the verdict; nothing without a baseline."""
    return tuple(
        SettingRow(
            _setting_name(report, captions, held.setting),
            _setting_value(captions, held.baseline),
            _setting_value(captions, held.candidate),
        )
        for held in report.verdict.settings
    )


def _setting_name(report: GateReport, captions: Captions, setting: str) -> str:
    match = _CHECK.fullmatch(setting)
    if match is None or int(match[1]) >= len(report.policy.checks):
        return setting.replace(".", ": ", 1)
    check = report.policy.checks[int(match[1])]
    parts = (check.metric, check.explainer, check.removal)
    subject = ", ".join(filter(None, map(captions.short, parts)))
    return f"policy: {subject}: {match[2]}" if match[2] else f"policy: {subject}"


def _setting_value(captions: Captions, text: str) -> str:
    if not text:
        return ABSENT
    match = _DIGEST.fullmatch(text)
    if match is None:
        return text
    digest = short_digest(text)
    name = captions.model(text) if match[1] == "models" else ""
    return digest if name in {"", digest} else f"{name} ({digest})"
