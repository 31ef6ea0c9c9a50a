"""Reports as JSON, in the protobuf-JSON form of their messages; a baseline is read from one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from heatproof.client.documents.results import GateReport, Report
from heatproof.client.errors import UsageError
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.evaluation_pb2 import Evaluation
from heatproof.v1.gate_pb2 import Baseline, Policy
from heatproof.v1.reliability_pb2 import MetricReliability
from heatproof.v1.results_pb2 import ImageResult


def document(report: Report) -> dict[str, Any]:
    """The report as a document, without its pictures, which are no results."""
    judged = {}
    if isinstance(report, GateReport):
        judged = {
            "model": report.model,
            "policy": plain(report.policy),
            "verdict": plain(report.verdict),
        }
    return {
        "heatproof": metadata.version("heatproof"),
        **judged,
        "models": [
            {"name": model.name, "display_name": model.display_name} for model in report.models
        ],
        "dataset": plain(report.dataset),
        "evaluation": plain(report.evaluation),
        "image_results": [plain(_lightened(image, curves=True)) for image in report.images],
    }


def write(report: Report, path: Path) -> None:
    """Writes a report as JSON."""
    path.write_text(json.dumps(document(report), indent=1) + "\n", encoding="utf-8")


def write_comparison(
    report: Report, comparisons: Sequence[ModelComparison], reference: str, path: Path
) -> None:
    """Writes a comparison of models as JSON: as `document`, and what it compares.

    Args:
        report: the evaluation.
        comparisons: of its models.
        reference: the model that the others are held against; empty: all pairs.
        path: the file.
    """
    compared = {"reference": reference, "comparisons": [plain(one) for one in comparisons]}
    text = json.dumps({**document(report), **compared}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def write_reliabilities(
    report: Report, reliabilities: Sequence[MetricReliability], path: Path
) -> None:
    """Writes which metrics deserve trust as JSON: `document`, and what is said of each."""
    said = {"reliabilities": [plain(one) for one in reliabilities]}
    text = json.dumps({**document(report), **said}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def write_reason(failure: Mapping[str, str], report: Report | None, path: Path) -> None:
    """Writes why there is no verdict as JSON: `error`, and `document` of what was evaluated."""
    evaluated = {} if report is None else document(report)
    text = json.dumps({**evaluated, "error": dict(failure)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def plain(message: Message) -> dict[str, Any]:
    """The protobuf-JSON form of a message, with the field names of the contract."""
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def baseline_of(report: Report, model: str) -> Baseline:
    """What a later gate compares a model with: scores, without curves and overlays."""
    return _baseline(model, report.evaluation, report.images)


def write_baseline(report: GateReport, path: Path) -> None:
    """Writes the candidate's scores as the baseline of later gates."""
    light = Report(
        report.evaluation,
        tuple(_lightened(image, curves=False) for image in report.images),
        report.models,
        report.dataset,
    )
    judged = {"model": report.model, "policy": plain(report.policy)}
    text = json.dumps({**judged, **document(light)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read_baseline(path: Path) -> Baseline:
    """Reads the scores out of a gate's report or baseline file.

    Raises:
        UsageError: the file cannot be read or holds no results.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        evaluation = json_format.ParseDict(held["evaluation"], Evaluation())
        images = [json_format.ParseDict(image, ImageResult()) for image in held["image_results"]]
        model = str(held.get("model") or evaluation.spec.models[0])
        policy = json_format.ParseDict(held["policy"], Policy()) if "policy" in held else None
    except OSError as error:
        raise UsageError(f"cannot read baseline {path}: {error.strerror}") from error
    except (json_format.Error, LookupError, ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"baseline {path} is no report of `heatproof gate --json` or --update-baseline: {error}"
        ) from error
    return _baseline(model, evaluation, images, policy)


def _baseline(
    model: str,
    evaluation: Evaluation,
    images: Iterable[ImageResult],
    policy: Policy | None = None,
) -> Baseline:
    light = [_lightened(image, curves=False) for image in images]
    return Baseline(model=model, evaluation=evaluation, image_results=light, policy=policy)


def _lightened(image: ImageResult, *, curves: bool) -> ImageResult:
    copy = ImageResult()
    copy.CopyFrom(image)
    copy.ClearField("overlays")
    copy.ClearField("input_pictures")
    if not curves:
        for score in copy.scores:
            score.ClearField("curves")
    return copy
