"""One HTML page: self-contained, light or dark, fit to print."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final

from heatproof.client.documents.captions import short_digest
from heatproof.client.extras import required
from heatproof.client.report import drawing
from heatproof.client.report.checks import CheckRow, Judgement
from heatproof.client.report.content import Content
from heatproof.client.report.numbers import ABSENT, number
from heatproof.v1.gate_pb2 import CheckResult
from heatproof.v1.results_pb2 import CleanPrediction, ImageResult, ImageScore, Summary

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


def write(content: Content, judged: Judgement | None, path: Path) -> None:
    """Writes a report as one HTML page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    path.write_text(render(content, judged), encoding="utf-8")


def render(content: Content, judged: Judgement | None = None) -> str:
    """A report as one HTML page, with its verdict if it has one; every name in it is escaped.

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
        title=_title(content, judged),
        judged=_judged(judged) if judged else None,
        warnings=content.warnings,
        rows=content.results,
        several_models=content.several_models,
        charts=drawing.charts(content),
        drawing=drawing,
        cards=[_card(content, image) for image in content.report.images[:IMAGES]],
        images=len(content.report.images),
        facts=_facts(content),
        environment=sorted(content.report.evaluation.environment.items()),
        version=metadata.version("heatproof"),
    )
    return page


def _title(content: Content, judged: Judgement | None) -> str:
    names = ", ".join(content.captions.model(model.name) for model in content.report.models)
    return f"Heatproof {'gate' if judged else 'evaluation'}: {names}"


def _judged(judged: Judgement) -> dict[str, object]:
    tones = {"PASS": "good", "PASS WITH WARNINGS": "warning"}
    rows = enumerate(judged.checks)
    return {
        "line": judged.line,
        "tone": tones.get(judged.line, "bad"),
        "tally": judged.tally,
        "model": judged.model,
        "checks": [CheckView(row, _whisker(judged, index)) for index, row in rows],
    }


def _whisker(judged: Judgement, index: int) -> drawing.Whisker | None:
    report = judged.report
    held = report.verdict.checks[index]
    results = report.evaluation.results
    if not 0 <= held.result < len(results) or held.kind == CheckResult.KIND_REGRESSION:
        return None
    summary = Summary()
    summary.CopyFrom(results[held.result].summary)
    if held.HasField("interval"):
        summary.interval.CopyFrom(held.interval)
    return drawing.whisker(summary, report.policy.checks[held.check])


def _facts(content: Content) -> list[tuple[str, str]]:
    report = content.report
    facts = [
        ("Model", content.models),
        ("Images", f"{content.images} ({report.dataset.labelled} labelled)"),
        ("Data set", f"{report.dataset.display_name} ({short_digest(report.dataset.name)})"),
        ("Preprocessing", content.preprocessing),
        ("Explained", content.explained),
        ("Seed", str(report.evaluation.spec.seed)),
    ]
    facts += [(f"Class output of {model}", text) for model, text in content.class_outputs]
    facts += [
        (f"Clean accuracy of {model}", f"{accuracy} ({labelled} images)")
        for model, accuracy, labelled in content.accuracies
    ]
    created = report.evaluation.create_time
    if created.seconds:
        facts.append(("Evaluated", f"{created.ToDatetime():%Y-%m-%d %H:%M} UTC"))
    return facts


def _card(content: Content, image: ImageResult) -> Card:
    return Card(
        name=image.display_name or short_digest(image.image),
        digest=short_digest(image.image),
        label=content.classes[image.label] if image.HasField("label") else "",
        answers=tuple(_answer(content, answer) for answer in image.predictions),
        pictures=tuple(
            MapPicture(
                _of_models(content, (overlay.model,), content.captions.short(overlay.explainer)),
                "data:image/png;base64," + base64.b64encode(overlay.png).decode(),
            )
            for overlay in image.overlays
        ),
        scores=tuple(_score(content, score) for score in image.scores),
    )


def _of_models(content: Content, models: Sequence[str], text: str) -> str:
    """The text, with its models in front where the report has several."""
    return f"{content.captions.panel(models)} · {text}" if content.several_models else text


def _answer(content: Content, held: CleanPrediction) -> Answer:
    classes = content.classes
    top = tuple((classes[entry.class_index], 100 * entry.probability) for entry in held.top)
    explained = classes[held.target] if held.target >= 0 else content.explained
    return Answer(content.captions.model(held.model), explained, top)


def _score(content: Content, held: ImageScore) -> tuple[str, str, str]:
    row = content.results[held.result]
    subject = f"{row.model} · {row.subject}" if content.several_models else row.subject
    if held.score.WhichOneof("outcome") == "value":
        return subject, number(held.score.value), ""
    undefined = held.score.undefined
    return subject, ABSENT, undefined.detail or undefined.reason
