"""Summarizes and judges evaluations, away from the event loop of the server."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np

from heatproof.evaluators.errors import placed
from heatproof.evaluators.evaluation.column_blocks import (
    blocks_of,
    read_images,
    read_results,
    written,
)
from heatproof.evaluators.evaluation.columns import Columns, ImageColumns, ResultColumns
from heatproof.evaluators.evaluation.doubts import doubts
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import ImageResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import (
    clean_accuracy,
    sampling,
    shown_precisions,
    summarize,
    units_of,
)
from heatproof.evaluators.evaluation.tabulation import image_columns, tabulated
from heatproof.evaluators.gate import is_decided
from heatproof.evaluators.gate import judge as judge_evaluation
from heatproof.evaluators.gate.pairing import require_comparable
from heatproof.evaluators.gate.policy import Evaluated
from heatproof.evaluators.gate.sequential import sequence_summaries
from heatproof.evaluators.gate.soundness import (
    compared_results,
    require_answered,
    require_groups,
    require_labels,
    require_sound,
)
from heatproof.evaluators.images.labels import several, single
from heatproof.evaluators.images.sources import objects_digest
from heatproof.server.workers.execution.context import TaskContext
from heatproof.server.workers.execution.images import mask_digest
from heatproof.server.workers.statistics_tasks import (
    CheckedImage,
    CheckPolicy,
    ImageSummary,
    Judge,
    LookAt,
    RecordedColumns,
    RecordedEvaluation,
    SummarizeImages,
    SummarizeScores,
    TabulatedEvaluation,
    TabulateRecord,
    TabulateRows,
)


def tabulate_rows(task: TabulateRows, context: TaskContext) -> tuple[bytes, ...]:
    """Makes the columns of a shard of its rows."""
    context.report(f"tabulating {len(task.images)} images")
    spec, rows = context.documents.read_spec(task.spec), context.documents.read_rows(task.images)
    return written(tabulated(spec, rows, task.counted))


def tabulate_record(task: TabulateRecord, context: TaskContext) -> RecordedColumns:
    """Makes the columns of a recorded evaluation, as far as a policy compares them."""
    context.report(f"reading {len(task.record.images)} images of the baseline")
    policy = context.documents.read_policy(task.policy)
    held = _evaluated(task.record, context)
    compared = compared_results(policy, held.spec, {held.model}, has_baseline=True)
    images, *blocks = written(held.columns)
    spans = blocks_of(len(result_keys(held.spec)))
    scores = {
        span.start: block
        for span, block in zip(spans, blocks, strict=True)
        if not compared.isdisjoint(span)
    }
    return RecordedColumns(images, scores)


def summarize_images(task: SummarizeImages, context: TaskContext) -> ImageSummary:
    """Summarizes what is known of the images, and finds curves that are not theirs."""
    images = read_images(task.images)
    context.report(f"summarizing {len(images)} images")
    spec = context.documents.read_spec(task.spec)
    summarizing = sequence_summaries if task.stopped else None
    accuracy = clean_accuracy(spec, images, summarizing)
    warnings = doubts(images, context.documents.read_class_outputs(task.environment), accuracy)
    units = units_of(images, seed=spec.seed)
    summary = context.documents.serialized_image_summary(
        accuracy,
        sampling(spec, images),
        warnings,
        shown_precisions(spec, images.taken(units.images)),
    )
    sizes = [len(read_images((data,))) for data in task.images]
    return ImageSummary(summary, _recounted(images, sizes, spec.seed))


def _recounted(
    images: ImageColumns, sizes: Sequence[int], seed: int
) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Shards of which other images count than were counted: see `ImageSummary.recounted`."""
    counts = np.zeros(len(images), np.bool_)
    counts[units_of(images, seed=seed).images] = True
    spans = enumerate(pairwise(accumulate(sizes, initial=0)))
    return tuple(
        (place, tuple(np.flatnonzero(counts[start:stop]).tolist()))
        for place, (start, stop) in spans
        if not np.array_equal(counts[start:stop], images.counted[start:stop])
    )


def summarize_scores(task: SummarizeScores, context: TaskContext) -> bytes:
    """Summarizes the results of some blocks."""
    spec, images = context.documents.read_spec(task.spec), read_images(task.images)
    span = _span(spec, task.first)
    context.report(f"summarizing results {span.start} to {span.stop - 1} of {len(images)} images")
    columns = Columns(images, read_results(task.scores, span))
    summarizing = sequence_summaries if task.stopped else None
    return context.documents.serialized_results(summarize(spec, columns, summarizing))


def _span(spec: EvaluationSpec, first: int) -> range:
    spans = blocks_of(len(result_keys(spec)))
    return next(span for span in spans if span.start == first)


def check_policy(task: CheckPolicy, context: TaskContext) -> None:
    """Checks a policy, and its baseline, before the evaluation runs."""
    context.report("checking the policy")
    spec = context.documents.read_spec(task.spec)
    policy = context.documents.read_policy(task.policy)
    with placed("policy"):
        require_sound(policy)
        require_answered(policy, spec)
        require_labels(policy, [image.label for image in task.images])
        require_groups(policy, [image.group for image in task.images])
    if task.baseline is not None:
        images = tuple(_outline(image, context) for image in task.images)
        columns = Columns(image_columns(images, [True] * len(images)), {})
        candidate = Evaluated(spec.models[0], spec, (), columns)
        require_comparable(candidate, _evaluated(task.baseline, context))


def _outline(image: CheckedImage, context: TaskContext) -> ImageResult:
    """What tells whether a baseline is of the same image."""
    mask = "" if image.object_mask is None else mask_digest(image.object_mask, context.blobs)
    objects = objects_digest(mask, image.boxes)
    label, labels = single(image.label), several(image.label)
    return ImageResult(
        image.digest, "", label, (), (), object_mask=objects, labels=labels, group=image.group
    )


def judge(task: Judge, context: TaskContext) -> bytes:
    """Judges a candidate by a policy."""
    context.report("judging")
    policy = context.documents.read_policy(task.policy)
    candidate = _evaluated(task.candidate, context)
    images = candidate.columns.images
    with placed("policy"):
        require_sound(policy)
        require_answered(policy, candidate.spec)
        require_labels(policy, images.labels)
        require_groups(policy, images.groups)
    baseline = None if task.baseline is None else _evaluated(task.baseline, context)
    return context.documents.serialized_verdict(judge_evaluation(policy, candidate, baseline))


def look_at(task: LookAt, context: TaskContext) -> bool:
    """Holds what there is so far against a sequential policy."""
    context.report(f"looking at {task.taken.units} of {task.taken.units_total} units")
    policy = context.documents.read_policy(task.policy)
    baseline = None if task.baseline is None else _evaluated(task.baseline, context)
    so_far = replace(_evaluated(task.candidate, context), taken=task.taken)
    return is_decided(policy, so_far, baseline)


def _evaluated(held: TabulatedEvaluation | RecordedEvaluation, context: TaskContext) -> Evaluated:
    def columns(spec: EvaluationSpec) -> Columns:
        if isinstance(held, TabulatedEvaluation):
            return _columns(held, spec)
        return tabulated(spec, context.documents.read_rows(held.images))

    return context.documents.read_evaluated(
        held.model, held.evaluation, columns, label=held.label, policy=held.policy
    )


def _columns(held: TabulatedEvaluation, spec: EvaluationSpec) -> Columns:
    return Columns(read_images(held.images), read_scores(held.scores, spec))


def read_scores(
    scores: Mapping[int, tuple[bytes, ...]], spec: EvaluationSpec
) -> dict[int, ResultColumns]:
    """Reads the scores of some blocks, by the index of the result."""
    return {
        index: result
        for first, blocks in scores.items()
        for index, result in read_results(blocks, _span(spec, first)).items()
    }
