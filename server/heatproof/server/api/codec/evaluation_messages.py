"""Requests and replies of the evaluation service."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from google.protobuf.message import Message

from heatproof.evaluators.errors import (
    InternalError,
    InvalidArgumentError,
    LimitExceededError,
    UnknownNameError,
    placed,
)
from heatproof.evaluators.evaluation.requirements import reads_of_images
from heatproof.server.api.codec.evaluations import (
    echoed_spec,
    encode_evaluation,
    fitted,
    planned_results,
    read_image_result,
    read_spec,
    stored_results,
)
from heatproof.server.api.codec.fields.choices import CUSTOM
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.evaluations.creation import EvaluationOffer
from heatproof.server.evaluations.inline import InlineEvaluation
from heatproof.server.evaluations.store.records import StoredEvaluation
from heatproof.server.evaluations.store.rules import Baseline, Rules
from heatproof.server.resource_names import BaselineReference
from heatproof.server.workers.statistics_tasks import RecordedEvaluation
from heatproof.v1 import evaluation_pb2, gate_pb2, results_pb2
from heatproof.v1 import evaluation_service_pb2 as pb

_VIEWS: Final = {
    pb.ListImageResultsRequest.VIEW_UNSPECIFIED: ("basic",),
    pb.ListImageResultsRequest.VIEW_BASIC: ("basic",),
    pb.ListImageResultsRequest.VIEW_FULL: ("curves", "overlays"),
}


def encode_created(
    offer: EvaluationOffer, stored: StoredEvaluation | None
) -> pb.CreateEvaluationResponse:
    """Makes the reply of a creation, or of its validation if nothing was stored."""
    reads = reads_of_images(read_spec(offer.new.spec))
    reply = pb.CreateEvaluationResponse(predictions=offer.new.predictions, reads=reads)
    if stored is not None:
        reply.evaluation.CopyFrom(encode_evaluation(stored))
    else:
        reply.evaluation.ParseFromString(offer.new.environment)
        reply.evaluation.spec.CopyFrom(echoed_spec(offer.new.spec))
        reply.evaluation.results.extend(planned_results(offer.new.spec))
        if fitted(reply.evaluation).results:
            reply.result_predictions.extend(offer.planned.result_predictions)
        reply.evaluation.sampling.CopyFrom(encode(offer.sampling, results_pb2.Sampling))
        reply.evaluation.progress.images_total = offer.new.images
        reply.evaluation.progress.predictions_total = offer.new.predictions
    for number, why in offer.checks_at_the_end.items():
        reply.checks_at_the_end[number] = why
    if offer.seconds is not None:
        reply.estimated_duration.FromMilliseconds(round(1000 * offer.seconds))
    return reply


def encode_evaluated(inline: InlineEvaluation) -> pb.EvaluateResponse:
    """Makes the reply of an evaluation on the spot, without the curves that do not fit."""
    reply = pb.EvaluateResponse(
        evaluation=encode_evaluation(inline.evaluation),
        image_results=[read_image_result(row.curves) for row in inline.images],
    )
    if reply.ByteSize() > MAX_REPLY_BYTES:
        del reply.image_results[:]
        reply.image_results.extend(read_image_result(row.basic) for row in inline.images)
    if reply.ByteSize() > MAX_REPLY_BYTES:
        reply.evaluation.CopyFrom(fitted(reply.evaluation, room=0))
    if reply.ByteSize() > MAX_REPLY_BYTES:
        raise LimitExceededError(
            f"the results take {reply.ByteSize()} bytes, a reply at most {MAX_REPLY_BYTES}: use "
            "CreateEvaluation and ListMetricResults, which has no such limit",
            field="spec.metrics",
        )
    return reply


def encode_listed(stored: StoredEvaluation) -> evaluation_pb2.Evaluation:
    """Makes the message of an evaluation in a list: without results, which may be megabytes."""
    return encode_evaluation(replace(stored, results=b""))


def listed_results(
    stored: StoredEvaluation, request: pb.ListMetricResultsRequest
) -> list[results_pb2.MetricResult]:
    """The results that a request asks for.

    Raises:
        InvalidArgumentError: there is no such view.
        UnknownNameError: no result matches a value of a filter.
    """
    with_curves = "curves" in view_columns(request.view)
    results = list(stored_results(stored))
    for field, names_of in _FILTERS.items():
        wanted = set(getattr(request, field))
        known = {name for result in results for name in names_of(result)}
        for place, name in enumerate(getattr(request, field)):
            if results and name not in known:
                with placed(f"{field}[{place}]"):
                    raise UnknownNameError.among(field.removesuffix("s"), name, sorted(known))
        if wanted:
            results = [result for result in results if wanted.intersection(names_of(result))]
    if not with_curves:
        for result in results:
            result.ClearField("curves")
    return results


def _chosen(choice: Message) -> list[str]:
    """Name of a metric, explainer or removal operator; none if it is unset."""
    arm = choice.WhichOneof(choice.DESCRIPTOR.oneofs[0].name)
    if arm is None:
        return []
    return [getattr(choice, arm).name if arm == CUSTOM else arm]


_FILTERS: Final[Mapping[str, Callable[[results_pb2.MetricResult], Iterable[str]]]] = (
    MappingProxyType(
        {
            "models": lambda result: result.models,
            "metrics": lambda result: _chosen(result.metric),
            "explainers": lambda result: _chosen(result.explainer),
            "removals": lambda result: _chosen(result.removal),
        }
    )
)
"""What each filter of a list of results compares."""


def view_columns(view: "pb.ListImageResultsRequest.View.ValueType") -> tuple[str, ...]:
    """The stored parts of an image's result that a view consists of.

    Raises:
        InvalidArgumentError: there is no such view.
    """
    if view not in _VIEWS:
        raise InvalidArgumentError(
            f"{view} is no view; choose VIEW_BASIC or VIEW_FULL", field="view"
        )
    return _VIEWS[view]


def decode_baseline(request: pb.GateEvaluationRequest) -> Baseline:
    """Reads what regressions are measured against.

    Raises:
        InvalidArgumentError: a recorded baseline does not know its own model, or a name has another
            pattern.
    """
    field = request.WhichOneof("baseline")
    return None if field is None else _baseline(request, field)


def decode_rules(request: pb.CreateEvaluationRequest) -> Rules | None:
    """Reads the rules by which an evaluation will be judged.

    Raises:
        InvalidArgumentError: there is a baseline without a policy, it does not know its model, or
            there are two of them.
    """
    given = [field.name for field, _ in request.ListFields() if field.name in _BASELINES]
    if len(given) > 1:
        raise InvalidArgumentError(
            f"{given[0]} is set too; a candidate is held against one of them", field=given[1]
        )
    if request.HasField("policy"):
        kept = pb.CreateEvaluationRequest()
        kept.CopyFrom(request)
        kept.ClearField("spec")
        baseline = _baseline(request, given[0]) if given else None
        return Rules(request.policy.SerializeToString(), baseline, kept.SerializeToString())
    if given:
        raise InvalidArgumentError(
            "a baseline is compared by a policy; send both, or neither", field="policy"
        )
    return None


def read_rules(data: bytes) -> Rules:
    """Reads what `Rules.document` holds."""
    rules = decode_rules(pb.CreateEvaluationRequest.FromString(data))
    if rules is None:
        raise InternalError("rules without a policy were stored")
    return rules


_BASELINES: Final = ("recorded_baseline", "named_baseline", "baseline_model")
"""Fields of a request that say what a candidate is held against; at most one is set."""


def _baseline(
    request: pb.CreateEvaluationRequest | pb.GateEvaluationRequest, field: str
) -> Baseline:
    """Reads the field that says what regressions are measured against."""
    if field == "recorded_baseline":
        with placed(field):
            return _recorded(request.recorded_baseline)
    if field == "named_baseline":
        return BaselineReference.parse(request.named_baseline, field=field)
    return request.baseline_model


def _recorded(baseline: gate_pb2.Baseline) -> RecordedEvaluation:
    if baseline.model not in baseline.evaluation.spec.models:
        raise InvalidArgumentError(
            f"{baseline.model!r} is no model of the recorded evaluation; record the baseline again",
            field="model",
        )
    images = tuple(image.SerializeToString() for image in baseline.image_results)
    evaluation, policy = baseline.evaluation, b""
    if baseline.HasField("policy"):
        policy = baseline.policy.SerializeToString()
    return RecordedEvaluation(
        baseline.model, evaluation.SerializeToString(), images, evaluation.name, policy
    )


def encode_verdict(data: bytes) -> gate_pb2.Verdict:
    """Reads the verdict of a worker."""
    return gate_pb2.Verdict.FromString(data)
