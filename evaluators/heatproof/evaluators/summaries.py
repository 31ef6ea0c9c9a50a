"""From the scores of images to the scores of a data set, with their intervals."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.outcomes import (
    Curve,
    Estimator,
    MeanEstimator,
    ProportionEstimator,
    RatioEstimator,
    Reason,
    Score,
    Undefined,
)
from heatproof.evaluators.plan import ResultKey, result_keys
from heatproof.evaluators.results import ImageResult, ImageScore, Interval, MetricResult, Summary
from heatproof.evaluators.spec import EvaluationSpec
from heatproof.evaluators.statistics.arms import Arm, Contrast
from heatproof.evaluators.statistics.bootstrap import MIN_IMAGES, Studentised, bootstrap_t
from heatproof.evaluators.statistics.proportions import wilson_interval

LEVEL: Final = 0.95
"""Confidence level of every interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The scores of one quantity, image by image.

    Attributes:
        scores: one an image; None where the image was not evaluated.
        arm: the same as columns of numbers.
        estimator: how they become one number.
    """

    scores: Sequence[Score | None]
    arm: Arm
    estimator: Estimator


def summarise(spec: EvaluationSpec, images: Sequence[ImageResult]) -> tuple[MetricResult, ...]:
    """Summarises every result of a spec, in the order of `result_keys`.

    Args:
        spec: what was asked.
        images: results of the images, all of them or those that were finished.
    """
    keys = result_keys(spec)
    scores = _by_result(images, len(keys))
    samples = [samples_of(key, column) for key, column in zip(keys, scores, strict=True)]
    summaries = iter(_summaries([s for group in samples for s in group.values()], seed=spec.seed))
    return tuple(
        _metric_result(key, column, {name: (group[name], next(summaries)) for name in group})
        for key, column, group in zip(keys, scores, samples, strict=True)
    )


def clean_accuracy(spec: EvaluationSpec, images: Sequence[ImageResult]) -> Mapping[str, Summary]:
    """Top-1 accuracy of each model on the clean images that have a label; {} without labels."""
    labelled = [image for image in images if image.label is not None]
    if not labelled:
        return {}
    hits = {
        model: [
            float(prediction.top[0].class_index == image.label)
            for image in labelled
            for prediction in image.predictions
            if prediction.model == model
        ]
        for model in spec.models
    }
    return {
        model: _summaries([_sample(scores, ProportionEstimator(), {})], seed=spec.seed)[0]
        for model, scores in hits.items()
        if scores
    }


def samples_of(key: ResultKey, scores: Sequence[ImageScore | None]) -> dict[str, Sample]:
    """The headline of a result under "", and its parts under their names."""
    names = sorted({name for score in scores if score for name in score.parts})
    columns: dict[str, list[Score | None]] = {
        name: [score.parts.get(name) if score else None for score in scores] for name in names
    }
    estimators = key.metric.part_estimators
    samples = {
        name: _sample(columns[name], estimators.get(name, MeanEstimator()), columns)
        for name in names
    }
    headline = [score.score if score else None for score in scores]
    return {"": _sample(headline, key.metric.estimator, columns), **samples}


def _sample(
    scores: Sequence[Score | None],
    estimator: Estimator,
    parts: Mapping[str, Sequence[Score | None]],
) -> Sample:
    if not isinstance(estimator, RatioEstimator):
        return Sample(scores, Arm.of_mean(_column(scores)), estimator)
    nothing = np.zeros(len(scores))
    a, b, c, d = (
        _column(parts.get(name, [None] * len(scores))) if name else nothing
        for name in (*estimator.numerator, *estimator.denominator)
    )
    return Sample(scores, Arm.of_ratio(a - b, c - d), estimator)


def _column(scores: Sequence[Score | None]) -> Float64[np.ndarray, "images"]:
    """Scores as numbers, NaN where there is none."""
    return np.array([np.nan if not isinstance(s, float) else s for s in scores], dtype=np.float64)


def _summaries(samples: Sequence[Sample], *, seed: int) -> list[Summary]:
    contrasts = [Contrast((sample.arm,)) for sample in samples]
    resampled = [not isinstance(sample.estimator, ProportionEstimator) for sample in samples]
    distributions = iter(
        bootstrap_t(
            [c for c, needed in zip(contrasts, resampled, strict=True) if needed], seed=seed
        )
    )
    return [
        _summary(sample, next(distributions) if needed else None)
        for sample, needed in zip(samples, resampled, strict=True)
    ]


def _summary(sample: Sample, distribution: Studentised | None) -> Summary:
    if not is_estimable(sample):
        return Summary(None, None, None, 0, _reasons(sample.scores))
    standard_error = Contrast((sample.arm,)).standard_error()
    left_out = [
        score for score, scored in zip(sample.scores, sample.arm.scored, strict=True) if not scored
    ]
    return Summary(
        value=sample.arm.estimate(),
        standard_error=standard_error if np.isfinite(standard_error) else None,
        interval=_interval(sample, distribution),
        scored=sample.arm.count,
        undefined=_reasons(left_out),
    )


def is_estimable(sample: Sample) -> bool:
    """Whether the sample gives a number: something was scored, and no ratio divides by nothing."""
    if sample.arm.count == 0 or not np.isfinite(sample.arm.estimate()):
        return False
    if not isinstance(sample.estimator, RatioEstimator):
        return True
    mean_denominator = sample.arm.denominators.sum() / sample.arm.count
    return bool(mean_denominator > sample.estimator.min_denominator)


def _interval(sample: Sample, distribution: Studentised | None) -> Interval | None:
    if isinstance(sample.estimator, ProportionEstimator):
        return _proportion_interval(sample.arm)
    if distribution is None:
        return None
    tail = (1 - LEVEL) / 2
    lower, upper = distribution.limit(tail), distribution.limit(1 - tail)
    if lower is None or upper is None:
        return None
    return Interval(lower, upper, LEVEL, "bootstrap_t")


def _proportion_interval(arm: Arm) -> Interval | None:
    if arm.count < MIN_IMAGES:
        return None
    low, high = wilson_interval(round(arm.numerators.sum()), arm.count, level=LEVEL)
    return Interval(low, high, LEVEL, "wilson")


def _reasons(scores: Iterable[Score | None]) -> dict[str, int]:
    """Why images have no score, counted; an image that was not evaluated has no reason."""
    return dict(sorted(Counter(_reason(s) for s in scores if s is not None).items()))


def _reason(score: Score) -> str:
    if isinstance(score, Undefined):
        return str(score.reason)
    # Scored alone, but the data set's denominator is nothing to divide by.
    return str(Reason.NO_PLACE_EFFECT if np.isfinite(score) else Reason.NOT_FINITE)


def _by_result(images: Sequence[ImageResult], results: int) -> list[list[ImageScore | None]]:
    columns: list[list[ImageScore | None]] = [[None] * len(images) for _ in range(results)]
    for place, image in enumerate(images):
        for score in image.scores:
            columns[score.result][place] = score
    return columns


def _metric_result(
    key: ResultKey,
    scores: Sequence[ImageScore | None],
    summarised: Mapping[str, tuple[Sample, Summary]],
) -> MetricResult:
    sample, summary = summarised[""]
    curves = [
        score.curves
        for score, scored in zip(scores, sample.arm.scored, strict=True)
        if scored and score is not None
    ]
    return MetricResult(
        model=key.model,
        metric=key.metric,
        removal=key.removal,
        explainer=key.explainer,
        direction=key.metric.direction,
        summary=summary,
        parts={name: part for name, (_, part) in summarised.items() if name},
        curves=_mean_curves(curves),
    )


def _mean_curves(curves: Sequence[Mapping[str, Curve]]) -> dict[str, Curve]:
    names = sorted({name for group in curves for name in group})
    return {name: _mean_curve([g[name] for g in curves if name in g]) for name in names}


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    values = np.array([curve.values for curve in curves], dtype=np.float64).mean(axis=0)
    return replace(curves[0], values=tuple(values.tolist()))
