"""Ended evaluations and verdicts as the workers read and write them."""

from collections.abc import Iterable

from heatproof.evaluators.errors import placed
from heatproof.evaluators.evaluation.results import ImageResult, MetricResult
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.gate.policy import Evaluated, Policy, Verdict
from heatproof.evaluators.queries.model_warnings import ModelWarning
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.v1 import evaluation_pb2, gate_pb2, results_pb2


def read_images(images: Iterable[bytes]) -> tuple[ImageResult, ...]:
    """Reads the results of images."""
    messages = map(results_pb2.ImageResult.FromString, images)
    return tuple(decode(message, ImageResult) for message in messages)


def read_evaluated(model: str, evaluation: bytes, images: Iterable[bytes]) -> Evaluated:
    """Reads an ended evaluation for one of its models."""
    message = evaluation_pb2.Evaluation.FromString(evaluation)
    return Evaluated(
        model=model,
        spec=decode(message.spec, EvaluationSpec),
        results=tuple(decode(result, MetricResult) for result in message.results),
        images=read_images(images),
        warnings=tuple(decode(warning, ModelWarning) for warning in message.warnings),
    )


def read_policy(data: bytes) -> Policy:
    """Reads a policy.

    Raises:
        InvalidArgumentError: names the field below `policy`.
    """
    with placed("policy"):
        return decode(gate_pb2.Policy.FromString(data), Policy)


def serialized_verdict(verdict: Verdict) -> bytes:
    """Writes a verdict."""
    return encode(verdict, gate_pb2.Verdict).SerializeToString(deterministic=True)
