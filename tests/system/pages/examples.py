"""A page of each kind, of names that would break a careless one."""

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from heatproof.client import GateReport, Report
from heatproof.client.documents.messages import read
from heatproof.client.report import html
from heatproof.client.report.checks import Judgement
from heatproof.client.report.comparison import html as comparison_html
from heatproof.client.report.comparison.content import ComparisonContent
from heatproof.client.report.content import Content
from heatproof.client.report.failures import Failure
from heatproof.client.report.reliability import html as reliability_html
from heatproof.client.report.reliability.content import ReliabilityContent
from heatproof.client.report.rows import ClassNames
from heatproof.v1.comparison_pb2 import ModelComparison
from heatproof.v1.dataset_pb2 import Dataset
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.gate_pb2 import CheckResult, Policy, ScoreChange, Verdict
from heatproof.v1.image_pb2 import Image
from heatproof.v1.model_pb2 import Model
from heatproof.v1.reliability_pb2 import MetricReliability
from heatproof.v1.results_pb2 import (
    Disparity,
    GroupScore,
    ImageResult,
    Interval,
    MetricResult,
    ModelWarning,
    Summary,
)
from tests.client import canned

MARKUP: Final = '<img src=x onerror="window.broken=1"></td><script>window.broken=1</script>\'&.jpg'
RIGHT_TO_LEFT: Final = "\u202e\u0635\u0648\u0631\u0629 gpj.exe\u202c.png"
LONG: Final = "a" * 300 + ".jpg"
HOSTILE: Final = (MARKUP, RIGHT_TO_LEFT, LONG)

CLASSES: Final = ClassNames(["tabby cat", MARKUP, "c" * 120])
MODELS: Final = ["models/sha256-" + digit * 64 for digit in "ab"]
IMAGES: Final = 12

SCORES: Final = (0.5, -0.25, None, 0.125, 0.75, 10.0, 0.0625, -1.5, 0.3, 0.2, None, 0.9)
"""Of the images by the result that orders them; higher is better."""

ORDER: Final = (7, 1, 6, 3, 9, 8, 0, 4, 11, 5, 2, 10)
"""The images, the worst first, those without a score last."""


def image_names() -> list[str]:
    """Three hostile names, then image-3.png and so on."""
    return [*HOSTILE, *(f"image-{at}.png" for at in range(len(HOSTILE), IMAGES))]


def _spec(models: list[str], explainers: list[str]) -> EvaluationSpec:
    table = {
        "models": models,
        "metrics": ["insertion", "deletion"],
        "removals": ["black"],
        "explainers": explainers,
        "keep_overlays": True,
    }
    return read(EvaluationSpec, table)


def _report(models: list[str], explainers: list[str]) -> Report:
    spec = _spec(models, explainers)
    names = image_names()
    # Every second answer is wrong, the last image has no label.
    images = [Image(display_name=name, label=at % 3 + at % 2) for at, name in enumerate(names)]
    images[-1].ClearField("label")
    evaluation = Evaluation(spec=spec, results=canned.results(spec, IMAGES))
    for model in models:
        evaluation.clean_accuracy[model].CopyFrom(
            Summary(value=6 / 11, scored=11, interval=Interval(lower=0.28, upper=0.79, level=0.95))
        )
    evaluation.warnings.append(
        ModelWarning(reason="CHANCE_ACCURACY", model=models[0], text=f"no better: {MARKUP} {LONG}")
    )
    evaluation.environment["processor"] = LONG
    return Report(
        evaluation,
        tuple(_scored(held) for held in canned.image_results(spec, images)),
        tuple(
            Model(name=model, display_name=name)
            for model, name in zip(models, (MARKUP, LONG), strict=False)
        ),
        Dataset(images=IMAGES, labelled=IMAGES - 1, display_name=RIGHT_TO_LEFT),
    )


def _scored(image: ImageResult) -> ImageResult:
    """With scores of its own, a group and curves that differ between images."""
    at = int(image.image, 16)
    image.group = f"{HOSTILE[at % 3]} {at % 3}"
    held = image.scores[0]
    value = SCORES[at]
    if value is None:
        held.score.undefined.reason, held.score.undefined.detail = "WEAK_ORACLE", MARKUP
        held.curves.clear()
    else:
        held.score.value = value
        curve = held.curves["insertion"]
        curve.fractions[:], curve.values[:] = canned.FRACTIONS, canned.curve(0.5).values
        curve.values[:] = (np.array(curve.values) * (1 + at / IMAGES)).tolist()
    return image


def evaluation() -> str:
    """Of one model."""
    return html.render(Content.of(_report(MODELS[:1], ["grad_cam"]), CLASSES))


def gate() -> str:
    """With a baseline, groups, checks of every outcome and warnings."""
    report = _gate_report()
    content = Content.of(report, CLASSES)
    return html.render(content, Judgement.of(report, content))


def _gate_report() -> GateReport:
    held = _report(MODELS, ["grad_cam", "random"])
    checks = [
        {"metric": "insertion", "min": 0.45},
        {"metric": "deletion", "max": 0.3, "severity": "SEVERITY_WARN"},
    ]
    policy = read(Policy, {"checks": checks, "explainers": ["grad_cam", "random"]})
    outcomes = (
        CheckResult.OUTCOME_PASS,
        CheckResult.OUTCOME_FAIL,
        CheckResult.OUTCOME_INCONCLUSIVE,
        CheckResult.OUTCOME_NOT_EVALUATED,
        CheckResult.OUTCOME_SKIPPED,
    )
    verdict = Verdict(outcome=Verdict.OUTCOME_FAIL, warnings=[f"few images: {LONG}"])
    for place, outcome in enumerate(outcomes):
        verdict.checks.add(
            check=place % 2,
            result=0,
            kind=CheckResult.KIND_BOUND,
            outcome=outcome,
            message=f"0.5 was held against the bound: {MARKUP}",
            blocking=outcome == CheckResult.OUTCOME_FAIL,
        )
    verdict.changes.extend(_change(held, place, held.results[place]) for place in (0, 1))
    verdict.baseline = "baselines/main@3"
    verdict.settings.add(setting="environment.processor", baseline=LONG, candidate=RIGHT_TO_LEFT)
    verdict.settings.add(setting=f"policy.checks[0].{MARKUP}", candidate="0.1")
    _disparity(held.results[0])
    return GateReport(
        held.evaluation,
        held.images,
        held.models,
        held.dataset,
        model=MODELS[0],
        policy=policy,
        verdict=verdict,
    )


def _change(held: Report, place: int, result: MetricResult) -> ScoreChange:
    change = ScoreChange(result=place, candidate=0.5, baseline=0.6, images=IMAGES)
    change.difference.difference = -0.1
    change.difference.interval.MergeFrom(Interval(lower=-0.2, upper=-0.05, level=0.95))
    change.difference.adjusted_p_value = 0.01 if place else 0.5
    for image in held.images[:3]:
        change.worst.add(
            image=image.image,
            display_name=image.display_name,
            candidate=0.1,
            baseline=result.summary.value,
            drop=0.4,
        )
    return change


def _disparity(result: MetricResult) -> None:
    result.disparity.MergeFrom(Disparity(value=0.25, groups=3))
    result.disparity.worst.MergeFrom(GroupScore(group=LONG, summary=Summary(value=0.5)))
    result.disparity.best.MergeFrom(GroupScore(group=RIGHT_TO_LEFT, summary=Summary(value=0.75)))
    result.disparity.interval.MergeFrom(Interval(lower=0.125, upper=0.375))


def comparison() -> str:
    """Of two models, with gains of each one's maps to each."""
    held = _report(MODELS, ["grad_cam", "random"])
    panel = MetricResult(models=MODELS, index=len(held.results))
    panel.metric.inter_model_deletion.SetInParent()
    panel.explainer.grad_cam.SetInParent()
    for place, value in {"0,0": 0.9, "0,1": 0.25, "1,0": -0.5, "1,1": 1.5}.items():
        panel.parts[f"gain[{place}]"].CopyFrom(Summary(value=value))
    held.evaluation.results.append(panel)
    pair = {"first": MODELS[0], "second": MODELS[1]}
    apart = {"interval": {"lower": 0.1, "upper": 0.3}, "p_value": 0.001, "adjusted_p_value": 0.01}
    table = {
        "metric": "insertion",
        "removal": "black",
        "explainer": "grad_cam",
        "direction": "DIRECTION_HIGHER_IS_BETTER",
        "images": 10,
        "models": [
            {"model": model, "summary": {"value": 0.5}, "scored": IMAGES} for model in MODELS
        ],
        "differences": [{"difference": 0.2, **apart, **pair}],
        "tests": 2,
        "cautions": [f"of two heads: {MARKUP}"],
    }
    control = {**table, "explainer": "random", "control": True}
    compared = [read(ModelComparison, one) for one in (table, control)]
    return comparison_html.render(ComparisonContent.of(held, compared, CLASSES))


def sanity() -> str:
    """Of two metrics, one trusted and one not."""
    held = _report(MODELS[:1], ["grad_cam", "random"])
    estimate = {"value": 0.7, "interval": {"lower": 0.6, "upper": 0.8}}
    table = {
        "model": MODELS[0],
        "metric": "insertion",
        "removal": "black",
        "direction": "DIRECTION_HIGHER_IS_BETTER",
        "trust_of_mean": "TRUST_TRUSTED",
        "trust_of_image": "TRUST_DOUBTFUL",
        "images": IMAGES,
        "image_agreement": estimate,
        "explainer_agreement": estimate,
        "resilience": estimate,
        "reasons": [f"grad_cam is better than random: {LONG}"],
        "maps": [
            {"explainer": "random", "role": "ROLE_RANDOM", "summary": estimate},
            {"explainer": "grad_cam", "role": "ROLE_EXPLAINER", "summary": estimate},
        ],
        "steps": [
            {"better": 1, "worse": 0, "gain": 0.4, "holds": "HOLDS_HOLDS"},
        ],
        "agreements": [
            {"metric": "deletion", "correlation": estimate, "rank_correlation": estimate}
        ],
    }
    other = {**table, "metric": "deletion", "trust_of_mean": "TRUST_UNTRUSTED"}
    found = [read(MetricReliability, one) for one in (table, other)]
    return reliability_html.render(ReliabilityContent.of(held, found, CLASSES))


def failure() -> str:
    """Of a gate that came to no verdict."""
    return html.render(None, Failure("UsageError", f"no baseline {MARKUP} {LONG}\nsecond line"))


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "evaluation": evaluation,
    "gate": gate,
    "comparison": comparison,
    "sanity": sanity,
    "failure": failure,
}
