"""One HTML page: self-contained, light or dark, fit to print."""

from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from heatproof.client.documents.captions import short_digest
from heatproof.client.extras import required
from heatproof.client.report import drawing
from heatproof.client.report.cards import cards
from heatproof.client.report.changes import ChangeRow
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.failures import NO_VERDICT, Failure
from heatproof.client.report.rows import DISPARITY_HEADS
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import Summary

TEMPLATES: Final = resources.files("heatproof.client.report").joinpath("templates")


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check with its drawing."""

    row: CheckRow
    whisker: drawing.Whisker | None


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change with its drawing against 0."""

    row: ChangeRow
    whisker: drawing.Whisker | None


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
        "title": _title(content, outcome),
        "judged": _judged(outcome) if isinstance(outcome, Judgement) else None,
        "failure": outcome if isinstance(outcome, Failure) else None,
    }
    if content is None:
        return filled("failure.html.jinja", environment=(), **held)
    return filled("report.html.jinja", **held, **_evaluated(content))


def _evaluated(content: Content) -> dict[str, object]:
    """What was evaluated, by the names of the template."""
    shown = cards(content)
    return {
        "warnings": content.warnings,
        "rows": content.results,
        "disparities": content.disparities,
        "disparity_heads": DISPARITY_HEADS,
        "several_models": content.several_models,
        "models": [content.captions.model(model.name) for model in content.report.models],
        "precisions": content.precisions,
        "charts": drawing.charts(content),
        "cards": shown,
        "places": {card.image: place for place, card in reversed(list(enumerate(shown, 1)))},
        "images": len(content.report.images),
        "facts": facts(content),
        "environment": sorted(content.report.evaluation.environment.items()),
    }


def filled(template: str, **values: object) -> str:
    """A template of `TEMPLATES` with its values, all of them escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = required("jinja2", extra="report")
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(
            lambda name: TEMPLATES.joinpath(name).read_text(encoding="utf-8")
        ),
    )
    environment.globals.update(
        drawing=drawing, version=metadata.version("heatproof"), no_verdict=NO_VERDICT
    )
    page: str = environment.get_template(template).render(values)
    return page


def _title(content: Content | None, outcome: Judgement | Failure | None) -> str:
    kind = "evaluation" if outcome is None else "gate"
    if content is None:
        return f"Heatproof {kind}"
    names = ", ".join(content.captions.model(model.name) for model in content.report.models)
    return f"Heatproof {kind}: {names}"


def _judged(judged: Judgement) -> dict[str, object]:
    tones = {"PASS": "good", "PASS WITH WARNINGS": "warning"}
    rows = enumerate(judged.checks)
    return {
        "line": judged.line,
        "tone": tones.get(judged.line, "bad"),
        "tally": judged.tally,
        "model": judged.model,
        "checks": [CheckView(row, _whisker(judged, index)) for index, row in rows],
        "changes": _changes(judged),
    }


def _changes(judged: Judgement) -> list[ChangeView]:
    """The changes with their drawings; each has a scale of its own, for units differ."""
    drawn = [drawing.whiskers([held.difference])[0] for held in judged.report.verdict.changes]
    return [ChangeView(row, whisker) for row, whisker in zip(judged.changes, drawn, strict=True)]


def _whisker(judged: Judgement, index: int) -> drawing.Whisker | None:
    report = judged.report
    held = report.verdict.checks[index]
    results = report.evaluation.results
    if not 0 <= held.result < len(results) or held.kind != CheckResult.KIND_BOUND:
        return None
    summary = Summary()
    summary.CopyFrom(results[held.result].summary)
    if held.HasField("interval"):
        summary.interval.CopyFrom(held.interval)
    return drawing.whisker(summary, report.policy.checks[held.check])


def facts(content: Content) -> list[tuple[str, str]]:
    """What was evaluated, as names and values."""
    report = content.report
    told = [
        ("Model", content.models),
        ("Images", f"{content.images} ({report.dataset.labelled} labelled)"),
        ("Data set", f"{report.dataset.display_name} ({short_digest(report.dataset.name)})"),
        ("Preprocessing", content.preprocessing),
        ("Explained", content.explained),
        ("Seed", str(report.evaluation.spec.seed)),
    ]
    told += [(f"Class output of {model}", text) for model, text in content.class_outputs]
    told += [
        (f"{content.accuracy_name.capitalize()} of {model}", f"{accuracy} ({labelled} images)")
        for model, accuracy, labelled in content.accuracies
    ]
    created = report.evaluation.create_time
    if created.seconds:
        told.append(("Evaluated", f"{created.ToDatetime():%Y-%m-%d %H:%M} UTC"))
    return told
