"""Markdown, as for a comment on a pull request."""

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from heatproof.client.report.changes import SETTING_HEADS, ChangeRow
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import NO_VERDICT, Failure
from heatproof.client.report.numbers import ABSENT, ARROWS
from heatproof.client.report.rows import DISPARITY_HEADS

SIGNS: Final = {"bad": "❌", "warning": "⚠️", "quiet": "⏭️", "good": "✅"}
"""Signs of outcomes by their tone, in the order that a reader wants them."""

CHANGE_SIGNS: Final = {"bad": "🔴", "good": "🟢"}
"""Signs of what a change reads as, by its tone."""

SHORT: Final = 40
"""Characters of a name that a table need not break."""

_WORDS: Final = {"bad": "blocking", "warning": "warning", "quiet": "skipped", "good": "passed"}
"""What checks of each tone are called where they are counted."""

LISTED_CHECKS: Final = 20
"""Checks that are listed whatever they came to; of more, those that passed are folded away."""

LISTED_IMAGES: Final = 50
"""Images whose clean answer is listed."""

LISTED_CLASSES: Final = 50
"""Classes whose average precision is listed."""

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+!|~])")

_HARMLESS_AT: Final = "@&#8203;"
"""An at sign that calls nobody: forges look for mentions once Markdown has lost its escapes."""


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
        "**The model was not judged, which is no pass.**",
        "",
        f"> {escape(failure.reason)}: {escape(failure.message)}",
    ]


def _evaluated(content: Content) -> list[str]:
    """What was evaluated: groups, and folded away facts, precisions and clean answers."""
    facts = folded("What was evaluated", fact_lines(content))
    return [*_disparities(content), "", *facts, *precisions(content), *clean(content)]


def _judged(content: Content, judged: Judgement) -> list[str]:
    sign = SIGNS["good" if judged.report.passed else "bad"]
    return [
        f"## {sign} Heatproof gate: {judged.line}",
        "",
        _sentence(content, judged),
        *warnings(content),
        "",
        *_checks(judged),
        *_changes(judged),
        *_settings(judged),
    ]


def _sentence(content: Content, judged: Judgement) -> str:
    """The verdict for a reader in a hurry: which model, why, and how well it does its own work."""
    may = "may ship" if judged.report.passed else "may not ship"
    tones = Counter(row.tone for row in judged.checks)
    counts = ", ".join(f"{tones[tone]} {word}" for tone, word in _WORDS.items() if tones[tone])
    told = [f"**{escape(judged.model)} {may}**", f"checks: {counts}"]
    told += [judged.sequential] if judged.sequential else []
    told += [
        f"{content.accuracy_name} {escape(accuracy)}"
        for model, accuracy in content.accuracies
        if model == judged.model
    ]
    return " · ".join([*told, f"{escape(content.images)} images"])


def _checks(judged: Judgement) -> list[str]:
    """What blocks first; beyond some rows what passed is folded away."""
    rows = sorted(judged.checks, key=lambda row: list(SIGNS).index(row.tone))
    shown = [row for row in rows if row.tone != "good"]
    passed = [row for row in rows if row.tone == "good"]
    if len(rows) <= LISTED_CHECKS:
        return _check_table(rows)
    rest = folded(f"{len(passed)} checks that passed", _check_table(passed))
    return [*(_check_table(shown) if shown else []), "", *(rest if passed else [])]


def _check_table(rows: Sequence[CheckRow]) -> list[str]:
    heads = ("", "Check", "Score", "Bound", "Outcome")
    return table_lines(heads, [_check(row) for row in rows], numbers=("Score", "Bound"))


def warnings(content: Content) -> list[str]:
    """What makes scores or a verdict doubtful."""
    return [f"\n> {SIGNS['warning']} **{escape(line)}**" for line in content.warnings]


def _check(row: CheckRow) -> tuple[str, ...]:
    score = row.result.score if row.result else ABSENT
    shown = (with_interval(score, row.interval), unbroken(row.bound), _outcome(row))
    return SIGNS[row.tone], stacked(row.subject), *shown


def _outcome(row: CheckRow) -> str:
    """The outcome, and small below it the comparison where the row does not show it."""
    warns = row.severity == "warn" and row.outcome not in {"pass", "skipped"}
    told = escape(f"{row.outcome} (warns only)" if warns else row.outcome)
    violates = row.outcome == "fail" and row.kind == "bound" and row.interval != ABSENT
    is_shown = violates or row.outcome == "pass"
    return told if is_shown else f"{told}<br><sub>{escape(row.message)}</sub>"


def _changes(judged: Judgement) -> list[str]:
    """What changed against the baseline, and folded away whose scores got worst where any did."""
    if not judged.changes:
        return []
    heads = ("Score", "Baseline", "Candidate", "Difference", "Reading")
    rows = [_change(row) for row in judged.changes]
    worst = [line for row in judged.changes if row.tone == "bad" for line in _worst(row)]
    folds = folded("Images that got worst", worst) if worst else []
    table = table_lines(heads, rows, numbers=heads[1:4])
    return ["", "### Against the baseline", "", *table, "", *folds]


def _change(row: ChangeRow) -> tuple[str, ...]:
    reading = f"{CHANGE_SIGNS.get(row.tone, '')} {escape(row.reading)}".strip()
    p_value = "" if row.p_value == ABSENT else f"corrected p {row.p_value}, "
    basis = f"{p_value}{row.images} images"
    return (
        stacked(row.subject),
        escape(row.baseline),
        escape(row.candidate),
        with_interval(row.difference, row.interval),
        f"{reading}<br><sub>{escape(basis)}</sub>",
    )


def _settings(judged: Judgement) -> list[str]:
    """What else differs from the baseline."""
    if not judged.settings:
        return []
    heads = tuple(head.capitalize() for head in SETTING_HEADS)
    rows = [tuple(map(escape, row.cells)) for row in judged.settings]
    told = f"What else differs from {judged.baseline or 'the baseline'}"
    return ["", *folded(told, table_lines(heads, rows))]


def _worst(row: ChangeRow) -> list[str]:
    """The images whose score got worst."""
    if not row.worst:
        return []
    cells = [
        tuple(map(escape, (one.image, one.baseline, one.candidate, one.drop))) for one in row.worst
    ]
    heads = ("Image", "Baseline", "Candidate", "Worse by")
    return [f"By {escape(row.subject)}:", "", *table_lines(heads, cells, heads[1:]), ""]


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
        *([f"- Predictions: {content.predictions}"] if content.predictions else []),
    ]
    told += [
        f"- Class output of {escape(model)}: {escape(text)}"
        for model, text in content.class_outputs
    ]
    told += [
        f"- {content.accuracy_name.capitalize()} of {escape(model)}: {escape(accuracy)}"
        for model, accuracy in content.accuracies
    ]
    return told


def precisions(content: Content) -> list[str]:
    """The average precision of each class, folded away; nothing where labels are single classes."""
    rows = content.precisions
    if not rows:
        return []
    models = [content.captions.model(model.name) for model in content.report.models]
    cells = [(escape(row.name), str(row.images), *row.values) for row in rows[:LISTED_CLASSES]]
    table = table_lines(("Class", "Images", *map(escape, models)), cells)
    more = _more(len(rows) - LISTED_CLASSES)
    return folded("Average precision of each class, the lowest first", [*table, *more])


def clean(content: Content) -> list[str]:
    """The clean answers, folded away."""
    rows = content.clean
    cells = [
        tuple(map(escape, (row.image, row.model, f"{row.top} {row.probability}", row.label)))
        for row in rows[:LISTED_IMAGES]
    ]
    table = table_lines(("Image", "Model", "Top class", "Label"), cells)
    return folded("Clean predictions", [*table, *_more(len(rows) - LISTED_IMAGES)])


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Lines that a reader unfolds by a click on their title."""
    told = html.escape(" ".join(title.split()), quote=False).replace("@", _HARMLESS_AT)
    summary = f"<details><summary>{told}</summary>"
    return [summary, "", *lines, "", "</details>", ""]


def _more(count: int) -> list[str]:
    return [f"\n{count} more are not listed."] if count > 0 else []


def table_lines(
    heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()
) -> list[str]:
    """A table; its cells are escaped already.

    Args:
        heads: what its columns hold.
        rows: the cells.
        numbers: heads of columns that hold numbers and stand to the right.
    """
    rule = ["---:" if head in numbers else "---" for head in heads]
    return ["| " + " | ".join(line) + " |" for line in (heads, rule, *rows)]


def stacked(subject: str) -> str:
    """A score by its metric, with explainer and removal operator small below it."""
    told, _, last = subject.rpartition(" ")
    arrow = f" {last}" if last in ARROWS.values() else ""
    first, dot, rest = (told if arrow else subject).partition(" · ")
    below = f"<br><sub>{unbroken(rest) if len(rest) < SHORT else escape(rest)}</sub>" if dot else ""
    return f"{escape(first)}{arrow}{below}"


def with_interval(score: str, interval: str) -> str:
    """A score with its interval small below it, if it has one."""
    return (
        escape(score)
        if interval == ABSENT
        else f"{escape(score)}<br><sub>{unbroken(interval)}</sub>"
    )


def unbroken(text: str) -> str:
    """A text, escaped, that stays in one line."""
    return escape(text).replace(" ", "&nbsp;")


def escape(text: str) -> str:
    """Takes the meaning off whatever Markdown, HTML or a mention would read in a name."""
    plain = _SPECIAL.sub(r"\\\1", html.escape(" ".join(text.split()), quote=False))
    return plain.replace("@", _HARMLESS_AT)
