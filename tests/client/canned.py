"""Canned results: what a server would say, without computing anything."""

import io
import itertools
import struct
import zlib
from collections.abc import Iterable, Sequence

from PIL import Image as Picture

from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.gate_pb2 import CheckResult, Policy, Verdict
from heatproof.v1.image_pb2 import Image
from heatproof.v1.results_pb2 import (
    DIRECTION_HIGHER_IS_BETTER,
    ClassProbability,
    CleanPrediction,
    Curve,
    ImageResult,
    ImageScore,
    InputPicture,
    Interval,
    MetricResult,
    Overlay,
    Score,
    Summary,
    Undefined,
)

FRACTIONS = (0.0, 0.5, 1.0)


def png(width: int = 4, height: int = 4, grey: int = 128) -> bytes:
    """A PNG file of one colour, written by hand."""
    rows = b"".join(b"\x00" + bytes([grey]) * width for _ in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int = 4, height: int = 4) -> bytes:
    """A JPEG file of one colour."""
    data = io.BytesIO()
    Picture.new("RGB", (width, height), (40, 120, 90)).save(data, "JPEG")
    return data.getvalue()


def results(spec: EvaluationSpec, images: int) -> list[MetricResult]:
    """A result for each combination, scored 0.5 with an interval of 0.4 to 0.6."""
    summary = Summary(
        value=0.5,
        standard_error=0.05,
        interval=Interval(lower=0.4, upper=0.6, level=0.95, method="bootstrap_t"),
        scored=images,
    )
    return [
        MetricResult(
            models=[model],
            metric=metric,
            removal=removal,
            explainer=explainer,
            direction=DIRECTION_HIGHER_IS_BETTER,
            summary=summary,
            parts={"area": summary},
            curves={metric.WhichOneof("metric") or "curve": curve(0.9)},
        )
        for model, metric, removal, explainer in itertools.product(
            spec.models, spec.metrics, spec.removals or [None], spec.explainers or [None]
        )
    ]


def curve(start: float) -> Curve:
    return Curve(fractions=FRACTIONS, values=[start * (1 - share) for share in FRACTIONS])


def image_results(spec: EvaluationSpec, images: Sequence[Image]) -> list[ImageResult]:
    """A result for each image; the first image has no score for the first result."""
    scored = results(spec, len(images))
    return [
        ImageResult(
            image=f"{index:064x}",
            display_name=image.display_name,
            label=image.label if image.HasField("label") else None,
            predictions=[_prediction(model, index) for model in spec.models],
            scores=[_score(at, result, index) for at, result in enumerate(scored)],
            overlays=list(_overlays(spec)) if spec.keep_overlays else [],
            input_pictures=list(_input_pictures(spec)) if spec.keep_overlays else [],
        )
        for index, image in enumerate(images)
    ]


def _prediction(model: str, index: int) -> CleanPrediction:
    top = [ClassProbability(class_index=index % 3, probability=0.75)]
    return CleanPrediction(model=model, target=index % 3, top=top)


def _score(at: int, result: MetricResult, index: int) -> ImageScore:
    if at == 0 and index == 0:
        gone = Undefined(reason="DEGENERATE", detail="the map is constant")
        return ImageScore(result=at, score=Score(undefined=gone))
    score = Score(value=0.25 + 0.01 * index)
    curves = {name: curve(0.8) for name in result.curves}
    return ImageScore(result=at, score=score, parts={"area": score}, curves=curves)


def _overlays(spec: EvaluationSpec) -> Iterable[Overlay]:
    for model, explainer in itertools.product(spec.models, spec.explainers):
        yield Overlay(model=model, explainer=explainer, png=png(), lowest=0.125, highest=2.5)


def _input_pictures(spec: EvaluationSpec) -> Iterable[InputPicture]:
    for model in spec.models:
        yield InputPicture(model=model, jpeg=jpeg())


def verdict(policy: Policy, evaluation: Evaluation, outcome: Verdict.Outcome.ValueType) -> Verdict:
    """Every check of the policy has the outcome."""
    fails = outcome == Verdict.OUTCOME_FAIL
    return Verdict(
        outcome=outcome,
        checks=[
            CheckResult(
                check=index,
                result=min(index, len(results(evaluation.spec, 1)) - 1),
                kind=CheckResult.KIND_BOUND,
                outcome=CheckResult.OUTCOME_FAIL if fails else CheckResult.OUTCOME_PASS,
                severity=check.severity,
                message="0.5 in [0.4, 0.6] was held against the bound",
                blocking=fails,
            )
            for index, check in enumerate(policy.checks)
        ],
        warnings=["only 3 images"] if outcome == Verdict.OUTCOME_WARN else [],
    )
