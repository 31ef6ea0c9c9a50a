"""From the scores of images to the scores of a data set, with their intervals."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float64

from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import (
    ImageResult,
    ImageScore,
    Interval,
    MetricResult,
    Sampling,
    SamplingUnit,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.outcomes import Curve, Reason, Score, Undefined
from heatproof.evaluators.statistics.arms import Arm, Contrast
from heatproof.evaluators.statistics.intervals import Intervals, Limits, Measured, intervals
from heatproof.evaluators.statistics.reductions import Mean, Proportion, Reduction
from heatproof.evaluators.statistics.units import Units

LEVEL: Final = 0.95
"""Confidence level of every interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """One quantity over the images, such as a score or a part of it.

    Attributes:
        scores: one an image; None where the image was not evaluated.
        arm: the same as columns of numbers.
        reduction: how they become one number.
    """

    scores: Sequence[Score | None]
    arm: Arm
    reduction: Reduction


def summarise(spec: EvaluationSpec, images: Sequence[ImageResult]) -> tuple[MetricResult, ...]:
    """Summarises every result of a spec, in the order of `result_keys`.

    Args:
        spec: what was asked.
        images: results of the images, all of them or those that were finished.
    """
    units = units_of(images, seed=spec.seed)
    counted = [images[place] for place in units.images]
    keys = result_keys(spec)
    scores = _by_result(counted, len(keys))
    quantities = [quantities_of(key, column) for key, column in zip(keys, scores, strict=True)]
    flat = [quantity for group in quantities for quantity in group.values()]
    summaries = iter(summaries_of(flat, units, seed=spec.seed))
    return tuple(
        _metric_result(key, column, {name: (group[name], next(summaries)) for name in group})
        for key, column, group in zip(keys, scores, quantities, strict=True)
    )


def units_of(images: Sequence[ImageResult], *, seed: int) -> Units:
    """The units of sampling of an evaluation."""
    return Units.of([image.image for image in images], [image.group for image in images], seed=seed)


def sampling(spec: EvaluationSpec, images: Sequence[ImageResult]) -> Sampling:
    """Says what is the unit of sampling and how many there are."""
    units = units_of(images, seed=spec.seed)
    unit = SamplingUnit.GROUP if units.grouped else SamplingUnit.IMAGE
    return Sampling(unit, units.count, len(units.images), units.copies)


def clean_accuracy(spec: EvaluationSpec, images: Sequence[ImageResult]) -> Mapping[str, Summary]:
    """Top-1 accuracy of each model on the clean images that have a label; {} without labels."""
    units = units_of(images, seed=spec.seed)
    counted = [images[place] for place in units.images]
    quantities = {model: accuracy_of(model, counted) for model in spec.models}
    held = {model: quantity for model, quantity in quantities.items() if quantity.arm.count}
    summaries = summaries_of(list(held.values()), units, seed=spec.seed)
    return dict(zip(held, summaries, strict=True))


def accuracy_of(model: str, images: Sequence[ImageResult]) -> Quantity:
    """Whether a model's top class is the label: 1 or 0, None for an image without a label."""
    hits = [_hit(model, image) for image in images]
    return _quantity(hits, Proportion(), {})


def _hit(model: str, image: ImageResult) -> float | None:
    """Whether the top class is the label; a model without a top class, as of NaN, misses it."""
    if image.label is None:
        return None
    tops = [held.top for held in image.predictions if held.model == model]
    return float(any(top[0].class_index == image.label for top in tops if top)) if tops else None


def quantities_of(key: ResultKey, scores: Sequence[ImageScore | None]) -> dict[str, Quantity]:
    """The headline of a result under "", and its parts under their names."""
    names = sorted({name for score in scores if score for name in score.parts})
    columns: dict[str, list[Score | None]] = {
        name: [score.parts.get(name) if score else None for score in scores] for name in names
    }
    reductions = key.metric.part_reductions
    quantities = {
        name: _quantity(columns[name], reductions.get(name, Mean()), columns) for name in names
    }
    headline = [score.score if score else None for score in scores]
    return {"": _quantity(headline, key.metric.reduction, columns), **quantities}


def _quantity(
    scores: Sequence[Score | None],
    reduction: Reduction,
    parts: Mapping[str, Sequence[Score | None]],
) -> Quantity:
    nothing = [None] * len(scores)
    columns = {name: _column(parts.get(name, nothing)) for name in reduction.parts}
    return Quantity(scores, reduction.arm(_column(scores), columns), reduction)


def _column(scores: Sequence[Score | None]) -> Float64[np.ndarray, "images"]:
    """Scores as numbers, NaN where there is none."""
    return np.array([np.nan if not isinstance(s, float) else s for s in scores], dtype=np.float64)


def measured(quantity: Quantity, units: Units) -> Measured:
    """A quantity of images as one of units."""
    return Measured(units.summed(quantity.arm), quantity.reduction, units.grouped, units.largest)


def summaries_of(
    quantities: Sequence[Quantity],
    units: Units,
    *,
    seed: int,
    kind: Intervals = Intervals.STANDARD,
) -> list[Summary]:
    """Summarises quantities over the images that count, with their intervals on the same resamples.

    Args:
        quantities: over the images that count, in their order.
        units: the units that these images make up.
        seed: of the resamples.
        kind: which intervals bounded means and proportions get.
    """
    scores = [measured(quantity, units) for quantity in quantities]
    limits = intervals(scores, seed=seed, level=LEVEL, kind=kind)
    return [_summary(*held) for held in zip(quantities, scores, limits, strict=True)]


def _summary(quantity: Quantity, score: Measured, limits: Limits | None) -> Summary:
    if not is_estimable(quantity):
        return Summary(None, None, None, 0, _reasons(quantity.scores), 0)
    standard_error = Contrast((score.arm,)).standard_error()
    interval = None
    if limits is not None:
        interval = Interval(limits.lower, limits.upper, LEVEL, limits.method)
    left_out = [
        held
        for held, scored in zip(quantity.scores, quantity.arm.scored, strict=True)
        if not scored
    ]
    return Summary(
        value=score.arm.estimate(),
        standard_error=standard_error if np.isfinite(standard_error) else None,
        interval=interval,
        scored=quantity.arm.count,
        undefined=_reasons(left_out),
        units=score.arm.count,
    )


def is_estimable(quantity: Quantity) -> bool:
    """Whether the quantity is a number: something was scored, and no ratio divides by nothing."""
    if quantity.arm.count == 0 or not np.isfinite(quantity.arm.estimate()):
        return False
    mean_denominator = quantity.arm.denominators.sum() / quantity.arm.count
    return bool(mean_denominator > quantity.reduction.min_denominator)


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
    summarised: Mapping[str, tuple[Quantity, Summary]],
) -> MetricResult:
    quantity, summary = summarised[""]
    curves = [
        score.curves
        for score, scored in zip(scores, quantity.arm.scored, strict=True)
        if scored and score is not None
    ]
    mean_curves = _mean_curves(curves)
    return MetricResult(
        models=key.models,
        metric=key.metric,
        removal=key.removal,
        explainer=key.explainer,
        direction=key.metric.direction,
        summary=summary,
        parts={
            **{name: part for name, (_, part) in summarised.items() if name},
            **_described(key, mean_curves, summary.scored),
        },
        curves=mean_curves,
    )


def _described(key: ResultKey, curves: Mapping[str, Curve], scored: int) -> dict[str, Summary]:
    """What the metric reads off the mean curves."""
    numbers = key.metric.described(curves)
    return {name: Summary(value, None, None, scored, {}) for name, value in numbers.items()}


def _mean_curves(curves: Sequence[Mapping[str, Curve]]) -> dict[str, Curve]:
    names = sorted({name for group in curves for name in group})
    return {name: _mean_curve([g[name] for g in curves if name in g]) for name in names}


def _mean_curve(curves: Sequence[Curve]) -> Curve:
    values = np.array([curve.values for curve in curves], dtype=np.float64).mean(axis=0)
    return replace(curves[0], values=tuple(values.tolist()))
