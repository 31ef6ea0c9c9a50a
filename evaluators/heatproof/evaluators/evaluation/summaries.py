"""From the scores of images to the scores of a data set, with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from heatproof.evaluators.errors import InternalError
from heatproof.evaluators.evaluation.columns import (
    NOT_ASKED,
    NOT_FINITE,
    Columns,
    ImageColumns,
    Places,
    Quantity,
    ResultColumns,
    ScoreColumn,
)
from heatproof.evaluators.evaluation.plan import ResultKey, result_keys
from heatproof.evaluators.evaluation.results import (
    AveragePrecision,
    Disparity,
    GroupScore,
    Interval,
    MetricResult,
    Sampling,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.images.labels import LabelSet, classes_of
from heatproof.evaluators.outcomes import Curve, Direction, Reason, Score, Undefined
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.arms import ArmContrast
from heatproof.evaluators.statistics.average_precision import (
    AveragePrecisions,
    average_precisions,
)
from heatproof.evaluators.statistics.bootstrap import MIN_UNITS
from heatproof.evaluators.statistics.groups.disparity import gap, is_comparable, joint_level
from heatproof.evaluators.statistics.groups.units import Units
from heatproof.evaluators.statistics.intervals import Intervals, Limits, Measured, intervals
from heatproof.evaluators.statistics.reductions import Linearized, Mean, Proportion

LEVEL: Final = 0.95
"""Confidence level of every interval."""

_SHOWN_CLASSES: Final = 1000
"""Most classes whose average precisions are listed."""

_NO_RANK: Final = Undefined(Reason.NOT_FINITE, "the model's answer holds NaN or infinity")


Summarizing: TypeAlias = Callable[[Sequence[Quantity], Units], list[Summary]]
"""Summarizes quantities over the images that count, and the units that these make up."""


def summarize(
    spec: EvaluationSpec, columns: Columns, summarizing: Summarizing | None = None
) -> tuple[MetricResult, ...]:
    """Summarizes results of a spec, in the order of `result_keys`.

    Args:
        spec: what was asked.
        columns: all images or those that were finished, and the results that are wanted.
        summarizing: what makes summaries in place of `summaries_of`, without disparities, whose
            intervals are for a number of images that was fixed.

    Raises:
        InternalError: the sums of curves are over other images than those that count.
    """
    units = units_of(columns.images, seed=spec.seed)
    require_curves_of(columns.images, units)
    keys = result_keys(spec)
    held = {index: columns.results[index] for index in sorted(columns.results)}
    quantities = [
        quantities_of(keys[index], own.taken(units.images)) for index, own in held.items()
    ]
    flat = [quantity for group in quantities for quantity in group.values()]
    compared = {keys[index]: own for index, own in held.items()}
    if summarizing is None:
        summaries = iter(summaries_of(flat, units, seed=spec.seed))
        found = disparities(compared, columns.images, spec.seed)
    else:
        summaries, found = iter(summarizing(flat, units)), {}
    return tuple(
        _metric_result(
            keys[index], own, {name: next(summaries) for name in group}, found.get(keys[index])
        )
        for (index, own), group in zip(held.items(), quantities, strict=True)
    )


def units_of(images: ImageColumns, *, seed: int) -> Units:
    """The units of sampling of an evaluation."""
    return Units.of(images.digests, images.groups, seed=seed)


def require_curves_of(images: ImageColumns, units: Units) -> None:
    """Refuses sums of curves over other images than those that count.

    Raises:
        InternalError: a shard was tabulated as if its images had no copies in earlier shards.
    """
    if not np.array_equal(np.flatnonzero(images.counted), units.images):
        raise InternalError(
            "the sums of curves are over other images than the scores; tabulate their shards again"
        )


def sampling(spec: EvaluationSpec, images: ImageColumns) -> Sampling:
    """Says what is the unit of sampling and how many there are."""
    return Sampling.of(units_of(images, seed=spec.seed))


def clean_accuracy(
    spec: EvaluationSpec, images: ImageColumns, summarizing: Summarizing | None = None
) -> Mapping[str, Summary]:
    """Clean accuracy of each model on the images that have a label; {} without labels.

    Of single labels the top-1 accuracy, of sets of classes the mean average precision;
    `summarizing` as of `summarize`.
    """
    units = units_of(images, seed=spec.seed)
    counted = images.taken(units.images)
    quantities = {model: accuracy_of(model, counted) for model in spec.models}
    held = {model: quantity for model, quantity in quantities.items() if quantity.arm.count}
    made = summarizing or partial(summaries_of, seed=spec.seed)
    return dict(zip(held, made(list(held.values()), units), strict=True))


def accuracy_of(model: str, images: ImageColumns) -> Quantity:
    """Whether a model's top class is the label: 1 or 0; nothing for an image without a label.

    A model without a top class, as of NaN, misses it. Where labels are sets of classes, what each
    image adds to the mean average precision: see `AveragePrecisions.linearized`.
    """
    if images.are_multi_label:
        return _precision_of(model, images)
    hits = [
        None if label is None or top == NOT_ASKED else float(top != NOT_FINITE and top == label)
        for label, top in zip(images.labels, images.answers_of(model).tolist(), strict=True)
    ]
    return Quantity.of(ScoreColumn.of(hits), Proportion(), {})


def _precision_of(model: str, images: ImageColumns) -> Quantity:
    """What each image with an answer adds to the mean average precision, to first order."""
    ranked, found = _ranked(model, images)
    scores: list[Score | None] = [
        None if label is None or top == NOT_ASKED else _NO_RANK
        for label, top in zip(images.labels, images.answers_of(model).tolist(), strict=True)
    ]
    if found.classes.size:
        for place, score in zip(ranked.tolist(), found.linearized.tolist(), strict=True):
            scores[place] = score
    return Quantity.of(ScoreColumn.of(scores), Linearized(UNIT), {})


def precisions_of(model: str, images: ImageColumns) -> tuple[AveragePrecision, ...]:
    """The average precision of each class that an image shows; () without sets of classes."""
    if not images.are_multi_label:
        return ()
    _, found = _ranked(model, images)
    columns = (found.classes.tolist(), found.values.tolist(), found.positives.tolist())
    return tuple(AveragePrecision(model, *held) for held in zip(*columns, strict=True))


def shown_precisions(spec: EvaluationSpec, images: ImageColumns) -> tuple[AveragePrecision, ...]:
    """The average precisions of all models, of those classes that most images show."""
    found = tuple(held for model in spec.models for held in precisions_of(model, images))
    counts = {held.class_index: held.images for held in found}
    most = sorted(counts, key=lambda index: (-counts[index], index))[:_SHOWN_CLASSES]
    shown = frozenset(most)
    return tuple(held for held in found if held.class_index in shown)


def _ranked(model: str, images: ImageColumns) -> tuple[Places, AveragePrecisions]:
    """The places of the images that a model can rank, and how well it does."""
    logits = images.logits.get(model, np.zeros((len(images), 0), np.float32))
    classes = [classes_of(label) for label in images.labels]
    kept = np.array(
        [
            isinstance(label, LabelSet) and bool(np.isfinite(row).all()) and row.size > 0
            for label, row in zip(images.labels, logits, strict=True)
        ],
        np.bool_,
    )
    places = np.flatnonzero(kept).astype(np.int64)
    positives = np.zeros((len(places), logits.shape[1]), np.bool_)
    for row, place in enumerate(places.tolist()):
        positives[row, [index for index in classes[place] if index < logits.shape[1]]] = True
    return places, average_precisions(logits[places], positives)


def quantities_of(key: ResultKey, columns: ResultColumns) -> dict[str, Quantity]:
    """The headline of a result under "", and its parts under their names."""
    reductions = key.metric.reductions(len(key.models))
    return {
        name: Quantity.of(column, reductions.get(name, Mean()), columns.scores)
        for name, column in columns.scores.items()
    }


def quantity_of(key: ResultKey, columns: ResultColumns, name: str) -> Quantity:
    """One of `quantities_of`; an image without a score lacks it for the reason of the score."""
    reduction = key.metric.reductions(len(key.models)).get(name, Mean())
    headline = columns.scores[""]
    column = columns.scores.get(name, ScoreColumn.absent(len(headline.codes)))
    return Quantity.of(column.explained_by(headline), reduction, columns.scores)


def disparities(
    results: Mapping[ResultKey, ResultColumns],
    images: ImageColumns,
    seed: int,
    kind: Intervals = Intervals.STANDARD,
) -> dict[ResultKey, Disparity]:
    """The worst group against the best by each score; nothing where images have no groups.

    Within a group each image is a sample, once: the question is whether these groups differ, not
    what others would score. Ours.

    Args:
        results: over all images.
        images: the images.
        seed: of the resamples.
        kind: which intervals bounded means and proportions get.
    """
    groups = _places_by_group(images, seed)
    compared = {
        key: columns
        for key, columns in results.items()
        if key.metric.reductions(len(key.models))[""].is_resampled
    }
    large = {name: places for name, places in groups.items() if len(places) >= MIN_UNITS}
    scores: dict[ResultKey, list[GroupScore]] = {key: [] for key in compared}
    for name, places in large.items() if is_comparable(len(large)) else ():
        quantities = [
            quantities_of(key, columns.taken(places))[""] for key, columns in compared.items()
        ]
        alone = Units.of(images.taken(places).digests, [""] * len(places), seed=seed)
        level = joint_level(LEVEL, len(large))
        summaries = summaries_of(quantities, alone, seed=seed, kind=kind, level=level)
        for key, summary in zip(compared, summaries, strict=True):
            if summary.value is not None and summary.scored >= MIN_UNITS:
                scores[key].append(GroupScore(name, summary))
    return {
        key: _disparity(key.metric.direction, held, len(large), len(groups))
        for key, held in scores.items()
        if groups
    }


def _places_by_group(images: ImageColumns, seed: int) -> dict[str, Places]:
    """The images that count of each group, in the order of the images' digests; {} without."""
    places = units_of(images, seed=seed).images
    ordered = sorted(places.tolist(), key=lambda place: images.digests[place])
    names = sorted({images.groups[place] for place in ordered} - {""})
    return {
        name: np.array([place for place in ordered if images.groups[place] == name], np.int64)
        for name in names
    }


def _disparity(
    direction: Direction, held: Sequence[GroupScore], large: int, total: int
) -> Disparity:
    """Compares groups; `large` of `total` have enough images, if not all a score."""
    compared = len(held) if is_comparable(large) else large
    counts = Disparity(groups=compared, small_groups=total - compared)
    if not is_comparable(len(held)):
        return counts
    values = [one.summary.value for one in held if one.summary.value is not None]
    limits = [one.summary.interval for one in held]
    ends = [None if limit is None else (limit.lower, limit.upper) for limit in limits]
    found = gap(values, ends, direction)
    interval = None if found.ends is None else Interval(*found.ends, LEVEL, "simultaneous")
    return replace(
        counts,
        value=found.value,
        interval=interval,
        worst=held[found.worst],
        best=held[found.best],
    )


def summaries_of(
    quantities: Sequence[Quantity],
    units: Units,
    *,
    seed: int,
    kind: Intervals = Intervals.STANDARD,
    level: float = LEVEL,
) -> list[Summary]:
    """Summarizes quantities over the images that count, with their intervals on the same resamples.

    Args:
        quantities: over the images that count, in their order.
        units: the units that these images make up.
        seed: of the resamples.
        kind: which intervals bounded means and proportions get.
        level: confidence level of each interval.
    """
    scores = [
        Measured(units.summed_contrast(held.contrast), held.reduction, units.grouped, units.largest)
        for held in quantities
    ]
    limits = intervals(scores, seed=seed, level=level, kind=kind)
    return [_summary(*held, level) for held in zip(quantities, scores, limits, strict=True)]


def _summary(quantity: Quantity, score: Measured, limits: Limits | None, level: float) -> Summary:
    counted = counted_summary(quantity, score.contrast)
    if counted.value is None:
        return counted
    standard_error = interval = None
    if score.reduction.is_resampled:
        found = score.contrast.standard_error()
        standard_error = found if np.isfinite(found) else None
    if limits is not None:
        interval = Interval(limits.lower, limits.upper, level, limits.method)
    return replace(counted, standard_error=standard_error, interval=interval)


def counted_summary(quantity: Quantity, summed: ArmContrast) -> Summary:
    """What was scored and its value, without interval; `summed` is its contrast over the units."""
    left_out = quantity.reduction.left_out
    if not quantity.is_estimable():
        everything = np.ones(len(quantity.scores.codes), np.bool_)
        return Summary(None, None, None, 0, quantity.scores.reasons(everything, left_out), 0)
    value = quantity.reduction.estimate(quantity.contrast, summed)
    missing = quantity.scores.reasons(~quantity.arm.scored, left_out)
    return Summary(value, None, None, quantity.arm.count, missing, summed.count)


def _metric_result(
    key: ResultKey,
    columns: ResultColumns,
    summaries: Mapping[str, Summary],
    disparity: Disparity | None,
) -> MetricResult:
    curves = {name: summed.mean() for name, summed in columns.curves.items()}
    summary = summaries[""]
    return MetricResult(
        models=key.models,
        metric=key.metric.echoed,
        removal=key.removal,
        explainer=key.explainer,
        direction=key.metric.direction,
        summary=summary,
        parts={
            **{name: part for name, part in summaries.items() if name},
            **_described(key, curves, summaries),
        },
        curves=curves,
        disparity=disparity,
    )


def _described(
    key: ResultKey, curves: Mapping[str, Curve], summaries: Mapping[str, Summary]
) -> dict[str, Summary]:
    """What the metric reads off the mean curves and the parts."""
    values = {name: part.value for name, part in summaries.items() if part.value is not None}
    numbers = key.metric.described(curves, values)
    scored = summaries[""].scored
    return {name: Summary(value, None, None, scored, {}) for name, value in numbers.items()}
