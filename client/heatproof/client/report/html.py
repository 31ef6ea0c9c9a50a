"""One HTML page: self-contained, light or dark, fit to print."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heatproof.client.documents.captions import short_digest
from heatproof.client.report.changes import ChangeRow
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure
from heatproof.client.report.page.charts import charts
from heatproof.client.report.page.gallery import cards
from heatproof.client.report.page.image_table import image_table
from heatproof.client.report.page.rendering import filled
from heatproof.client.report.page.whiskers import Whisker, checked, compared
from heatproof.client.report.rows import DISPARITY_HEADS
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import Summary

VERDICT_TONES: Final = {"PASS": ("good", "✓"), "PASS WITH WARNINGS": ("warning", "!")}
"""Tone and mark of verdicts; those of others say that the model is stopped."""


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check with its drawing."""

    row: CheckRow
    whisker: Whisker | None


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change with its drawing against 0."""

    row: ChangeRow
    whisker: Whisker | None


def write(content: Content | None, outcome: Judgement | Failure | None, path: Path) -> None:
    """Writes a report as one HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    path.write_text(render(content, outcome), encoding="utf-8")


def render(content: Content | None, outcome: Judgement | Failure | None = None) -> str:
    """A report as one HTML page; every name in it is escaped.

    Args:
        content: what was evaluated; None where a failure came before it.
        outcome: the verdict, or why there is none; None of an evaluation without a gate.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    held = {
        **_named(content, outcome),
        "judged": _judged(outcome) if isinstance(outcome, Judgement) else None,
        "failure": outcome if isinstance(outcome, Failure) else None,
    }
    if content is None:
        return filled("failure.html.jinja", environment=(), **held)
    return filled("report.html.jinja", **held, **_evaluated(content, _lead(outcome)))


def _evaluated(content: Content, lead: int | None) -> dict[str, object]:
    """What was evaluated, by the names of the template."""
    table = image_table(content, lead)
    shown = cards(content, table.order)
    return {
        "warnings": content.warnings,
        "rows": content.results,
        "disparities": content.disparities,
        "disparity_heads": DISPARITY_HEADS,
        "several_models": content.several_models,
        "models": [content.captions.model(model.name) for model in content.report.models],
        "precisions": content.precisions,
        "charts": charts(content),
        "table": table,
        "cards": shown,
        "places": {card.image: place for place, card in reversed(list(enumerate(shown, 1)))},
        "facts": facts(content),
        "environment": environment(content),
    }


def _lead(outcome: Judgement | Failure | None) -> int | None:
    """The score by which the worst images come first: that of the first check that blocks."""
    if not isinstance(outcome, Judgement):
        return None
    blocking = (held.result for held in outcome.report.verdict.checks if held.blocking)
    return next((result for result in blocking if result >= 0), None)


def _named(content: Content | None, outcome: Judgement | Failure | None) -> dict[str, object]:
    """Title of the page, what it reports of, the models, and the baseline among them."""
    kind = "evaluation" if outcome is None else "gate"
    if content is None:
        return {"title": f"Heatproof {kind}", "kind": kind, "names": ["not evaluated"]}
    names = [content.captions.model(model.name) for model in content.report.models]
    if isinstance(outcome, Judgement):
        title = f"Heatproof gate: {outcome.model}"
        against = {"against": outcome.baseline} if outcome.baseline else {}
        return {"title": title, "kind": kind, "names": [outcome.model], **against}
    title = f"Heatproof {kind}: {', '.join(names)}"
    if kind == "gate" and len(names) == 2:
        # Without a verdict: a gate evaluates a baseline that is a model beside its candidate.
        return {"title": title, "kind": kind, "names": names[:1], "against": names[1]}
    return {"title": title, "kind": kind, "names": names}


def _judged(judged: Judgement) -> dict[str, object]:
    rows = enumerate(judged.checks)
    tone, symbol = VERDICT_TONES.get(judged.line, ("bad", "✗"))
    return {
        "line": judged.line,
        "tone": tone,
        "symbol": symbol,
        "tally": judged.tally,
        "checks": [CheckView(row, _whisker(judged, index)) for index, row in rows],
        "changes": _changes(judged),
        "settings": judged.settings,
        "baseline": judged.baseline,
    }


def _changes(judged: Judgement) -> list[ChangeView]:
    """The changes with their drawings; each has a scale of its own, for units differ."""
    held = judged.report.verdict.changes
    drawn = [compared([change.difference], [str(change.images)])[0] for change in held]
    return [ChangeView(row, whisker) for row, whisker in zip(judged.changes, drawn, strict=True)]


def _whisker(judged: Judgement, index: int) -> Whisker | None:
    report = judged.report
    held = report.verdict.checks[index]
    results = report.evaluation.results
    if not 0 <= held.result < len(results) or held.kind != CheckResult.KIND_BOUND:
        return None
    summary = Summary()
    summary.CopyFrom(results[held.result].summary)
    if held.HasField("interval"):
        summary.interval.CopyFrom(held.interval)
    return checked(summary, report.policy.checks[held.check])


def facts(content: Content) -> list[tuple[str, str]]:
    """What was evaluated, as names and values."""
    report = content.report
    told = [
        ("Model", content.models),
        ("Images", content.images),
        ("Data set", _data_set(report.dataset)),
        ("Preprocessing", content.preprocessing),
        ("Explained", content.explained),
        ("Seed", str(report.evaluation.spec.seed)),
    ]
    told += [(f"Class output of {model}", text) for model, text in content.class_outputs]
    told += [
        (f"{content.accuracy_name.capitalize()} of {model}", accuracy)
        for model, accuracy in content.accuracies
    ]
    if content.predictions:
        told.append(("Predictions", content.predictions))
    created = report.evaluation.create_time
    if created.seconds:
        told.append(("Evaluated", f"{created.ToDatetime():%Y-%m-%d %H:%M} UTC"))
    return told


def environment(content: Content) -> list[tuple[str, str]]:
    """What an evaluation was computed with and how, models by their short names."""
    held = content.report.evaluation.environment
    return [(name, content.captions.spoken(held[name])) for name in sorted(held)]


def _data_set(dataset: Dataset) -> str:
    named = f"{dataset.display_name} ({short_digest(dataset.name)})"
    if not dataset.images:  # it has been deleted
        return named
    return f"{named}, {dataset.labelled} of {dataset.images} images labelled"
