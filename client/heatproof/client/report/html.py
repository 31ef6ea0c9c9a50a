"""One HTML page: self-contained, light or dark, fit to print."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.documents.targets import target_text
from heatproof.client.extras import required
from heatproof.client.report import drawing
from heatproof.client.report.rows import (
    ABSENT,
    CheckRow,
    ClassNames,
    ResultRow,
    accuracy_rows,
    check_rows,
    class_output_rows,
    model_line,
    number,
    preprocessing_text,
    result_rows,
    sampling_text,
    tally,
    verdict_line,
    warning_lines,
)
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import CleanPrediction, ImageResult, ImageScore, Summary
from heatproof.v1.target_pb2 import Target

IMAGES: Final = 50
"""Images that the page shows; the JSON report holds all."""


@dataclass(frozen=True, slots=True)
class MapPicture:
    """A map over its image.

    Attributes:
        caption: model, where there are several, and explainer.
        source: the PNG as a data URI.
    """

    caption: str
    source: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A model's answer to a clean image.

    Attributes:
        model: name of the model.
        target: what is explained.
        top: the most probable classes with their probabilities in per cent.
    """

    model: str
    target: str
    top: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One image.

    Attributes:
        name: its name.
        digest: first digits of its digest.
        label: its true class; empty if it is not known.
        answers: what each model says of it.
        pictures: the maps over it.
        scores: its scores: what was scored, the score, and the reason if there is none.
    """

    name: str
    digest: str
    label: str
    answers: tuple[Answer, ...]
    pictures: tuple[MapPicture, ...]
    scores: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check with its drawing."""

    row: CheckRow
    whisker: drawing.Whisker | None


def write(report: Report, path: Path, classes: ClassNames) -> None:
    """Writes a report as one HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    path.write_text(render(report, classes), encoding="utf-8")


def render(report: Report, classes: ClassNames) -> str:
    """A report as one HTML page; every name in it is escaped.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = required("jinja2", extra="report")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files("heatproof.client.report").joinpath("page.html.jinja")
    template = environment.from_string(source.read_text(encoding="utf-8"))
    page: str = template.render(
        title=_title(report),
        judged=_judged(report) if isinstance(report, GateReport) else None,
        warnings=warning_lines(report),
        rows=result_rows(report),
        several_models=len(report.models) > 1,
        charts=drawing.charts(report),
        drawing=drawing,
        cards=[_card(report, image, classes) for image in report.images[:IMAGES]],
        images=len(report.images),
        facts=_facts(report, classes),
        environment=sorted(report.evaluation.environment.items()),
        version=metadata.version("heatproof"),
    )
    return page


def _title(report: Report) -> str:
    names = ", ".join(report.captions.model(model.name) for model in report.models)
    return f"Heatproof {'gate' if isinstance(report, GateReport) else 'evaluation'}: {names}"


def _judged(report: GateReport) -> dict[str, object]:
    rows = check_rows(report)
    tones = {"PASS": "good", "PASS WITH WARNINGS": "warning"}
    line = verdict_line(report)
    return {
        "line": line,
        "tone": tones.get(line, "bad"),
        "tally": tally(rows),
        "model": report.captions.model(report.model),
        "checks": [CheckView(row, _whisker(report, index)) for index, row in enumerate(rows)],
    }


def _whisker(report: GateReport, index: int) -> drawing.Whisker | None:
    held = report.verdict.checks[index]
    if not 0 <= held.result < len(report.results) or held.kind == CheckResult.KIND_REGRESSION:
        return None
    summary = Summary()
    summary.CopyFrom(report.results[held.result].summary)
    if held.HasField("interval"):
        summary.interval.CopyFrom(held.interval)
    return drawing.whisker(summary, report.policy.checks[held.check])


def _facts(report: Report, classes: ClassNames) -> list[tuple[str, str]]:
    spec = report.evaluation.spec
    facts = [
        ("Model", model_line(report)),
        ("Images", f"{sampling_text(report)} ({report.dataset.labelled} labelled)"),
        ("Data set", f"{report.dataset.display_name} ({short_digest(report.dataset.name)})"),
        ("Preprocessing", preprocessing_text(spec.preprocessing)),
        ("Explained", target_text(spec.target, classes.names)),
        ("Seed", str(spec.seed)),
    ]
    facts += [(f"Class output of {model}", text) for model, text in class_output_rows(report)]
    facts += [
        (f"Clean accuracy of {model}", f"{accuracy} ({labelled} images)")
        for model, accuracy, labelled in accuracy_rows(report)
    ]
    created = report.evaluation.create_time
    if created.seconds:
        facts.append(("Evaluated", f"{created.ToDatetime():%Y-%m-%d %H:%M} UTC"))
    return facts


def _card(report: Report, image: ImageResult, classes: ClassNames) -> Card:
    captions = report.captions
    rows = result_rows(report)
    return Card(
        name=image.display_name or short_digest(image.image),
        digest=short_digest(image.image),
        label=classes[image.label] if image.HasField("label") else "",
        answers=tuple(
            _answer(captions, answer, classes, report.evaluation.spec.target)
            for answer in image.predictions
        ),
        pictures=tuple(
            MapPicture(
                _of_models(report, (overlay.model,), captions.short(overlay.explainer)),
                "data:image/png;base64," + base64.b64encode(overlay.png).decode(),
            )
            for overlay in image.overlays
        ),
        scores=tuple(_score(report, rows[score.result], score) for score in image.scores),
    )


def _of_models(report: Report, models: Sequence[str], text: str) -> str:
    """The text, with its models in front where the report has several."""
    return f"{report.captions.panel(models)} · {text}" if len(report.models) > 1 else text


def _answer(
    captions: Captions, held: CleanPrediction, classes: ClassNames, target: Target
) -> Answer:
    top = tuple((classes[entry.class_index], 100 * entry.probability) for entry in held.top)
    explained = classes[held.target] if held.target >= 0 else target_text(target, classes.names)
    return Answer(captions.model(held.model), explained, top)


def _score(report: Report, row: ResultRow, held: ImageScore) -> tuple[str, str, str]:
    subject = _of_models(report, report.results[held.result].models, row.subject)
    if held.score.WhichOneof("outcome") == "value":
        return subject, number(held.score.value), ""
    undefined = held.score.undefined
    return subject, ABSENT, undefined.detail or undefined.reason
