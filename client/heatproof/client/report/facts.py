"""What a report says of its evaluation as a whole."""

from collections.abc import Sequence
from typing import Final

from heatproof.client.documents.captions import Captions, short_digest
from heatproof.client.documents.messages import short_name
from heatproof.client.documents.results import GateReport, Report
from heatproof.client.documents.statements import described
from heatproof.client.documents.targets import target_text
from heatproof.client.report.numbers import ABSENT, Estimate, number
from heatproof.v1.evaluation_pb2 import Evaluation, EvaluationSpec
from heatproof.v1.preprocessing_pb2 import Preprocessing
from heatproof.v1.results_pb2 import ModelWarning, Sampling, Summary

COUNT_TOLERANCE: Final = 1e-6
"""A share times its images is a whole number but for rounding."""


def preprocessing_text(held: Preprocessing) -> str:
    """All that a preprocessing sets, in one line."""
    parts = []
    for field, value in held.ListFields():
        if field.enum_type is not None:
            text = short_name(field.enum_type, value)
        elif field.is_repeated:
            text = "[" + ", ".join(map(number, value)) + "]"
        else:
            text = number(value) if isinstance(value, float) else str(value)
        parts.append(f"{field.name} {text}")
    return ", ".join(parts)


def explained_text(spec: EvaluationSpec, names: Sequence[str]) -> str:
    """What of the models' answers is explained, and which other model judges the maps."""
    told = target_text(spec.target, names)
    if not spec.evaluator_model:
        return told
    return f"{told}; maps are judged by the model {short_digest(spec.evaluator_model)}"


def accuracy_rows(report: Report, captions: Captions) -> list[tuple[str, str]]:
    """Clean accuracy of each model: its name, and how many answers are right of how many."""
    found = report.evaluation.clean_accuracy
    return [
        (captions.model(model.name), _accuracy_text(report, found[model.name]))
        for model in report.models
        if model.name in found
    ]


def _accuracy_text(report: Report, held: Summary) -> str:
    """Such as `31 of 35 (0.8857 [0.74, 0.9547])`; of what is no share, value and images."""
    if not held.HasField("value"):
        return f"{ABSENT} (none of {image_count(report)} images is labelled)"
    told = str(Estimate.of(held))
    right = held.value * held.scored
    # A mean of groups or of average precisions is no count of right answers.
    if report.evaluation.average_precisions or abs(right - round(right)) > COUNT_TOLERANCE:
        return f"{told} over {held.scored} images"
    return f"{round(right)} of {held.scored} ({told})"


def accuracy_name(report: Report) -> str:
    """What the clean accuracy is: of images with sets of classes the mean average precision."""
    found = report.evaluation.average_precisions
    return "mean average precision" if found else "clean accuracy"


def class_output_rows(report: Report, captions: Captions) -> list[tuple[str, str]]:
    """How the class scores of each model are read: its name, and output and activation in words."""
    return [
        (captions.model(held.model), described(held)) for held in report.evaluation.class_outputs
    ]


def warning_lines(report: Report, captions: Captions) -> list[str]:
    """What makes scores doubtful, then what else a verdict warns of; nothing twice."""
    several = len(report.models) > 1
    lines = [
        f"{captions.model(held.model)}: {_warning(held)}" if several else _warning(held)
        for held in report.evaluation.warnings
    ]
    if isinstance(report, GateReport):
        known = {_warning(held) for held in report.evaluation.warnings}
        lines += [text for text in report.verdict.warnings if text not in known]
    return lines


def _warning(held: ModelWarning) -> str:
    """A warning as verdicts write it too."""
    return f"{held.reason}: {held.text}"


def image_count(report: Report) -> int:
    """Images of different bytes: equal ones count once."""
    return report.evaluation.sampling.images or len(report.images)


def sampling_text(report: Report) -> str:
    """How many images there are, how many count, and what is the unit of sampling."""
    evaluation, images = report.evaluation, str(len(report.images))
    if evaluation.state == Evaluation.STATE_STOPPED:
        images = f"{images} of {evaluation.progress.images_total}"
    return sampling_words(images, evaluation.sampling, evaluation.spec.units)


def sampling_words(images: str, held: Sampling, chosen: int = 0) -> str:
    """The same of images that may not be evaluated yet.

    Args:
        images: how many there are, in words.
        held: what is sampled.
        chosen: units that were to be evaluated, which an early end may not have reached; 0: those
            that are held.
    """
    text = images
    if held.copies:
        text += f", of which {held.copies} are copies of others and count once"
    if held.unit == Sampling.UNIT_GROUP:
        text += f"; intervals and tests count {held.units} groups (n = {held.units})"
    if held.units_left_out:
        units = chosen or held.units
        text += (
            f"; {held.units_left_out} of {units + held.units_left_out} units were left out: "
            f"`units = {units}` repeats this choice"
        )
    return text


def known_text(report: Report) -> str:
    """How many predictions were known from earlier evaluations; nothing if none was."""
    progress = report.evaluation.progress
    if not progress.predictions_known:
        return ""
    return f"{progress.predictions_done:,}, of which {progress.predictions_known:,} were known"


def model_line(report: Report, captions: Captions) -> str:
    """The models with their digests."""
    return ", ".join(
        f"{captions.model(model.name)} ({short_digest(model.name)})" for model in report.models
    )
