"""Evaluations between their messages, their values and the bytes that are stored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc import status_pb2

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError, placed
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.results import (
    AveragePrecision,
    ImageResult,
    MetricResult,
    Sampling,
    SequentialUnits,
    Summary,
)
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.settings import WAYS_RUN
from heatproof.evaluators.queries.class_outputs import ClassOutput
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.codec.fields.targets import with_indices
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.evaluations.store.records import State, StoredEvaluation
from heatproof.server.workers.shard_results import ImageRow
from heatproof.v1 import class_output_pb2, evaluation_pb2, metrics_pb2, results_pb2
from heatproof.v1.metrics import masking_pb2

_BETWEEN_WAYS: Final = "; "
_MAX_MODELS: Final = 16
_TARGET_OF_0_1: Final = 7
_LABEL_OF_0_1: Final = 2
MAX_SPEC_BYTES: Final = 256 << 10
"""Most bytes of a spec as it is sent, without its matrices, which replies leave out."""
MAX_MATRIX_BYTES: Final = 12 << 20
"""Most bytes of its matrices: one of a thousand classes for each order of removal."""
_STATES: Final = {
    state: evaluation_pb2.Evaluation.State.Value(f"STATE_{state.name}") for state in State
}


def decode_spec(message: evaluation_pb2.EvaluationSpec) -> EvaluationSpec:
    """Reads what is asked.

    Raises:
        InvalidArgumentError: names the field below `spec`.
        LimitExceededError: it is larger than any sound one.
    """
    with placed("spec"):
        _check_size(message)
        spec = decode(with_indices(message, message.class_names), EvaluationSpec)
        if len(spec.models) > _MAX_MODELS or len(set(spec.models)) < len(spec.models):
            raise InvalidArgumentError(
                f"models must be at most {_MAX_MODELS}, all different", field="models"
            )
        return spec


def _check_size(message: evaluation_pb2.EvaluationSpec) -> None:
    """Every reply and every page of a list repeats the spec; every task has its matrices too."""
    matrices = sum(len(matrix.values) for matrix in _matrices(message.metrics))
    if matrices > MAX_MATRIX_BYTES:
        raise LimitExceededError(
            f"{matrices} bytes of matrices; those of a spec have at most {MAX_MATRIX_BYTES} "
            "together: ask for fewer metrics that have one in one evaluation",
            field="metrics",
        )
    size = message.ByteSize() - matrices
    if size > MAX_SPEC_BYTES:
        raise LimitExceededError(
            f"{size} bytes; a spec has at most {MAX_SPEC_BYTES}: ask for fewer "
            "metrics, or smaller parameters of plug-ins"
        )


def _matrices(metrics: Iterable[metrics_pb2.Metric]) -> Iterator[masking_pb2.ClassMatrix]:
    """The matrices of the metrics that have one."""
    for metric in metrics:
        if metric.HasField("segment_removal") and metric.segment_removal.HasField("similarity"):
            yield metric.segment_removal.similarity


def serialized_spec(spec: EvaluationSpec) -> bytes:
    """Writes a spec with every default filled in; equal specs give equal bytes."""
    return encode(spec, evaluation_pb2.EvaluationSpec).SerializeToString(deterministic=True)


def read_spec(data: bytes) -> EvaluationSpec:
    """Reads a stored spec."""
    return decode(stored_spec(data), EvaluationSpec)


def stored_spec(data: bytes) -> evaluation_pb2.EvaluationSpec:
    """The message of a stored spec; that of version 0.1 told its target by a number."""
    message = evaluation_pb2.EvaluationSpec.FromString(data)
    if not message.HasField("target"):
        unknown = UnknownFieldSet(message)
        fields = [unknown[place] for place in range(len(unknown))]
        told = {field.field_number: field.data for field in fields}
        arm = "label" if told.get(_TARGET_OF_0_1) == _LABEL_OF_0_1 else "predicted"
        getattr(message.target, arm).SetInParent()
        message.DiscardUnknownFields()
    return message


def echoed_spec(data: bytes) -> evaluation_pb2.EvaluationSpec:
    """The message of a stored spec as replies hold it: matrices by their digests alone."""
    message = stored_spec(data)
    without_matrices(message.metrics)
    return message


def without_matrices(metrics: Iterable[metrics_pb2.Metric]) -> None:
    """Takes off metrics the values of their matrices, whose digests stay."""
    for matrix in _matrices(metrics):
        matrix.ClearField("values")


def planned_results(spec: bytes) -> Sequence[results_pb2.MetricResult]:
    """What a stored spec would score, in the order of its results, without any scores."""
    planned = []
    for index, key in enumerate(result_keys(read_spec(spec))):
        message = encode(key, results_pb2.MetricResult)
        message.index = index
        message.direction = results_pb2.Direction.Value(f"DIRECTION_{key.metric.direction.name}")
        without_matrices([message.metric])
        planned.append(message)
    return planned


def serialized_results(results: Sequence[MetricResult]) -> bytes:
    """Writes some results of an evaluation; several such messages in a row are one."""
    message = evaluation_pb2.Evaluation(results=[_labelled(result) for result in results])
    return message.SerializeToString(deterministic=True)


def serialized_image_summary(
    clean_accuracy: Mapping[str, Summary],
    sampling: Sampling,
    warnings: Sequence[ModelWarning],
    precisions: Sequence[AveragePrecision],
) -> bytes:
    """Writes what is said of the images; `warnings` are those that the answers to them give."""
    message = evaluation_pb2.Evaluation(
        clean_accuracy={
            model: encode(summary, results_pb2.Summary) for model, summary in clean_accuracy.items()
        },
        sampling=encode(sampling, results_pb2.Sampling),
        warnings=[encode(warning, results_pb2.ModelWarning) for warning in warnings],
        average_precisions=[encode(held, results_pb2.AveragePrecision) for held in precisions],
    )
    return message.SerializeToString(deterministic=True)


def serialized_environment(environment: Mapping[str, str]) -> bytes:
    """Writes what computes an evaluation."""
    return evaluation_pb2.Evaluation(environment=environment).SerializeToString(deterministic=True)


def with_ways_run(environment: bytes, ways: Sequence[str]) -> bytes:
    """The environment of an evaluation with how passes were run, each way told once."""
    message = evaluation_pb2.Evaluation.FromString(environment)
    told = message.environment[WAYS_RUN].split(_BETWEEN_WAYS)
    message.environment[WAYS_RUN] = _BETWEEN_WAYS.join(sorted({*told, *ways} - {""}))
    if not message.environment[WAYS_RUN]:
        del message.environment[WAYS_RUN]
    return message.SerializeToString(deterministic=True)


def serialized_units_left_out(units: int) -> bytes:
    """Writes how many units of the data set an evaluation leaves out; nothing if it is none."""
    if not units:
        return b""
    sampling = results_pb2.Sampling(units_left_out=units)
    return evaluation_pb2.Evaluation(sampling=sampling).SerializeToString(deterministic=True)


def serialized_taken(taken: SequentialUnits) -> bytes:
    """Writes how far a sequential evaluation went; appended to others."""
    message = encode(taken, results_pb2.SequentialUnits)
    return evaluation_pb2.Evaluation(sequential=message).SerializeToString(deterministic=True)


def serialized_model_facts(
    class_outputs: Sequence[ClassOutput], warnings: Sequence[ModelWarning]
) -> bytes:
    """Writes what is known of an evaluation's models before they run; appended to others."""
    message = evaluation_pb2.Evaluation(
        class_outputs=[encode(output, class_output_pb2.ClassOutput) for output in class_outputs],
        warnings=[encode(warning, results_pb2.ModelWarning) for warning in warnings],
    )
    return message.SerializeToString(deterministic=True)


def _labelled(result: MetricResult) -> results_pb2.MetricResult:
    """The message of a result, whose curves say how they are drawn."""
    message = encode(result, results_pb2.MetricResult)
    for name, facts in result.metric.curve_facts.items():
        if name in message.curves:
            curve = message.curves[name]
            curve.label, curve.unit, curve.x_unit = facts.label, facts.unit, facts.x_unit
            curve.role = results_pb2.Curve.Role.Value(f"ROLE_{facts.role.name}")
    return message


def read_class_outputs(environment: bytes) -> tuple[ClassOutput, ...]:
    """Reads how the answers of an evaluation's models are read."""
    message = evaluation_pb2.Evaluation.FromString(environment)
    return tuple(decode(output, ClassOutput) for output in message.class_outputs)


def image_row(result: ImageResult) -> ImageRow:
    """Writes the result of an image in the three parts that are stored."""
    message = encode(result, results_pb2.ImageResult)
    pictures = results_pb2.ImageResult(
        overlays=message.overlays, input_pictures=message.input_pictures
    ).SerializeToString()
    message.ClearField("overlays")
    message.ClearField("input_pictures")
    curves = message.SerializeToString(deterministic=True)
    for score in message.scores:
        score.ClearField("curves")
    return ImageRow(message.SerializeToString(deterministic=True), curves, pictures)


def read_image_result(data: bytes) -> results_pb2.ImageResult:
    """Reads the result of an image, which may be larger than a reply."""
    return results_pb2.ImageResult.FromString(data)


def encode_evaluation(stored: StoredEvaluation) -> evaluation_pb2.Evaluation:
    """Makes the message of an evaluation, without the mean curves if they do not fit."""
    message = evaluation_pb2.Evaluation.FromString(stored.results + stored.environment)
    for index, result in enumerate(message.results):
        result.index = index
    message.name = stored.name
    message.spec.CopyFrom(echoed_spec(stored.spec))
    message.state = _STATES[stored.state]
    if stored.state is State.FAILED:
        message.error.CopyFrom(status_pb2.Status.FromString(stored.error))
    _fill_times(message, stored.create_time, stored.end_time)
    message.progress.images_done = stored.images_done
    message.progress.images_total = stored.images_total
    message.progress.predictions_done = stored.predictions_done
    message.progress.predictions_total = stored.predictions_expected
    message.progress.predictions_known = stored.predictions_known
    return fitted(message)


def fitted(
    message: evaluation_pb2.Evaluation, room: int = MAX_REPLY_BYTES
) -> evaluation_pb2.Evaluation:
    """The message without its mean curves, then its results, if it takes more than `room` bytes."""
    if message.ByteSize() > room:
        for result in message.results:
            result.ClearField("curves")
    if message.ByteSize() > MAX_REPLY_BYTES:
        message.ClearField("results")
    return message


def stored_results(stored: StoredEvaluation) -> Sequence[results_pb2.MetricResult]:
    """The results of an evaluation, each with its index."""
    results = evaluation_pb2.Evaluation.FromString(stored.results).results
    for index, result in enumerate(results):
        result.index = index
    return results


def _fill_times(
    message: evaluation_pb2.Evaluation, create_time: datetime, end_time: datetime | None
) -> None:
    message.create_time.FromDatetime(create_time)
    if end_time is not None:
        message.end_time.FromDatetime(end_time)
