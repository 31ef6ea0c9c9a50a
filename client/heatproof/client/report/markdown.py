"""Markdown, as for a comment on a pull request."""

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from heatproof.client.report.changes import CHANGE_HEADS, ChangeRow
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import NO_VERDICT, Failure
from heatproof.client.report.numbers import ABSENT
from heatproof.client.report.rows import DISPARITY_HEADS

SIGNS: Final = {"good": "✅", "bad": "❌", "warning": "⚠️", "quiet": "⏭️"}
"""Signs of outcomes by their tone."""

LISTED_IMAGES: Final = 50
"""Images whose clean answer is listed."""

LISTED_CLASSES: Final = 50
"""Classes whose average precision is listed."""

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|~@])")


def write(content: Content | None, outcome: Judgement | Failure | None, path: Path) -> None:
    """Writes a report as Markdown."""
    path.write_text(render(content, outcome), encoding="utf-8")


def render(content: Content | None, outcome: Judgement | Failure | None = None) -> str:
    """A report as Markdown.

    Args:
        content: what was evaluated; None where a failure came before it.
        outcome: the verdict, or why there is none; None of an evaluation without a gate.
    """
    head = _failed(outcome) if isinstance(outcome, Failure) else []
    if content is None:
        parts = head
    elif isinstance(outcome, Judgement):
        parts = [*_judged(content, outcome), *_evaluated(content)]
    else:
        head = head or ["## Heatproof evaluation"]
        parts = [*head, *warnings(content), "", *_results(content), *_evaluated(content)]
    return "\n".join(parts) + "\n"


def _failed(failure: Failure) -> list[str]:
    return [
        f"## {SIGNS['bad']} Heatproof gate: {NO_VERDICT}",
        "",
        f"{escape(failure.reason)}: {escape(failure.message)}",
    ]


def _evaluated(content: Content) -> list[str]:
    """What was evaluated: groups, facts, precisions and clean answers."""
    told = ["", *fact_lines(content), "", *precisions(content), *clean(content)]
    return [*_disparities(content), *told]


def _judged(content: Content, judged: Judgement) -> list[str]:
    sign = SIGNS["good" if judged.report.passed else "bad"]
    return [
        f"## {sign} Heatproof gate: {judged.line}",
        *warnings(content),
        "",
        escape(judged.tally),
        "",
        *table_lines(
            ("", "Check", "Score", "Interval", "Bound", "Outcome"),
            [_check(row) for row in judged.checks],
        ),
        *_changes(judged),
    ]


def warnings(content: Content) -> list[str]:
    """What makes scores or a verdict doubtful."""
    return [f"\n> {SIGNS['warning']} **{escape(line)}**" for line in content.warnings]


def _check(row: CheckRow) -> tuple[str, ...]:
    score = row.result.score if row.result else ABSENT
    message = "" if row.outcome == "pass" else f": {row.message}"
    cells = (row.subject, score, row.interval, row.bound, f"{row.outcome}{message}")
    return SIGNS[row.tone], *map(escape, cells)


def _changes(judged: Judgement) -> list[str]:
    """What changed against the baseline, and folded away the images that got worst."""
    if not judged.changes:
        return []
    heads = tuple(head.capitalize() for head in CHANGE_HEADS)
    rows = [tuple(map(escape, row.cells)) for row in judged.changes]
    worst = [line for row in judged.changes for line in _worst(row)]
    return ["", "### Against the baseline", "", *table_lines(heads, rows), "", *worst]


def _worst(row: ChangeRow) -> list[str]:
    """The images whose score got worst, folded away."""
    if not row.worst:
        return []
    cells = [
        tuple(map(escape, (one.image, one.baseline, one.candidate, one.drop))) for one in row.worst
    ]
    return [
        f"<details><summary>Images that got worst by {escape(row.subject)}</summary>",
        "",
        *table_lines(("Image", "Baseline", "Candidate", "Worse by"), cells),
        "",
        "</details>",
        "",
    ]


def _results(content: Content) -> list[str]:
    heads = ("Model", "Metric", "", "Explainer", "Removal", "Score", "Interval", "Scored")
    rows = [
        tuple(
            map(
                escape,
                (
                    row.model,
                    row.metric,
                    row.arrow,
                    row.explainer,
                    row.removal,
                    row.score,
                    row.interval,
                    f"{row.scored} {row.undefined}".strip(),
                ),
            )
        )
        for row in content.results
    ]
    return table_lines(heads, rows)


def _disparities(content: Content) -> list[str]:
    """The worst groups of images against the best, where images have groups."""
    rows = [tuple(map(escape, row.cells)) for row in content.disparities]
    heads = tuple(head.capitalize() for head in DISPARITY_HEADS)
    return ["", *table_lines(heads, rows)] if rows else []


def fact_lines(content: Content) -> list[str]:
    """What was evaluated, as a list."""
    told = [
        f"- Explained: {escape(content.explained)}",
        f"- Model: {escape(content.models)}",
        f"- Images: {escape(content.images)}",
        f"- Preprocessing: {escape(content.preprocessing)}",
    ]
    told += [
        f"- Class output of {escape(model)}: {escape(text)}"
        for model, text in content.class_outputs
    ]
    told += [
        f"- {content.accuracy_name.capitalize()} of {escape(model)}: {accuracy} "
        f"({labelled} images labelled)"
        for model, accuracy, labelled in content.accuracies
    ]
    return told


def precisions(content: Content) -> list[str]:
    """The average precision of each class, folded away; nothing where labels are single classes."""
    rows = content.precisions
    if not rows:
        return []
    models = [content.captions.model(model.name) for model in content.report.models]
    cells = [(escape(row.name), str(row.images), *row.values) for row in rows[:LISTED_CLASSES]]
    more = [f"\n{len(rows) - LISTED_CLASSES} more are not listed."]
    return [
        "<details><summary>Average precision of each class, the lowest first</summary>",
        "",
        *table_lines(("Class", "Images", *map(escape, models)), cells),
        *(more if len(rows) > LISTED_CLASSES else []),
        "",
        "</details>",
        "",
    ]


def clean(content: Content) -> list[str]:
    """The clean answers, folded away."""
    rows = content.clean
    cells = [
        tuple(map(escape, (row.image, row.model, f"{row.top} {row.probability}", row.label)))
        for row in rows[:LISTED_IMAGES]
    ]
    more = (
        [f"\n{len(rows) - LISTED_IMAGES} more are not listed."] if len(rows) > LISTED_IMAGES else []
    )
    return [
        "<details><summary>Clean predictions</summary>",
        "",
        *table_lines(("Image", "Model", "Top class", "Label"), cells),
        *more,
        "",
        "</details>",
    ]


def table_lines(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table; its cells are escaped already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def escape(text: str) -> str:
    """Takes the meaning off whatever Markdown, HTML or a mention would read in a name."""
    return _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
