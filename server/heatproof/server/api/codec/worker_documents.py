"""The messages that workers read and write: this module is their `WorkerDocuments`."""

from typing import Final

from google.protobuf.message import DecodeError, Message

from heatproof.evaluators.evaluation.engine import Explanation, MaskedPredictions
from heatproof.server.api.codec.evaluations import image_row as image_row
from heatproof.server.api.codec.evaluations import read_class_outputs as read_class_outputs
from heatproof.server.api.codec.evaluations import read_spec as read_spec
from heatproof.server.api.codec.evaluations import (
    serialized_image_summary as serialized_image_summary,
)
from heatproof.server.api.codec.evaluations import serialized_model_facts as serialized_model_facts
from heatproof.server.api.codec.evaluations import serialized_results as serialized_results
from heatproof.server.api.codec.explanations import encode_explanation, encode_predictions
from heatproof.server.api.codec.facts import serialized_facts as serialized_facts
from heatproof.server.api.codec.recordings import read_evaluated as read_evaluated
from heatproof.server.api.codec.recordings import read_policy as read_policy
from heatproof.server.api.codec.recordings import read_rows as read_rows
from heatproof.server.api.codec.recordings import serialized_comparison as serialized_comparison
from heatproof.server.api.codec.recordings import serialized_reliability as serialized_reliability
from heatproof.server.api.codec.recordings import serialized_verdict as serialized_verdict
from heatproof.v1 import (
    comparison_pb2,
    evaluation_pb2,
    explanation_service_pb2,
    gate_pb2,
    masking_service_pb2,
    model_pb2,
    reliability_pb2,
    results_pb2,
)

_MESSAGES: Final[dict[str, type[Message]]] = {
    message.DESCRIPTOR.name: message
    for message in (
        comparison_pb2.ModelComparison,
        evaluation_pb2.Evaluation,
        explanation_service_pb2.Explanation,
        gate_pb2.Verdict,
        masking_service_pb2.PredictResponse,
        model_pb2.ModelFacts,
        reliability_pb2.MetricReliability,
        results_pb2.ImageResult,
    )
}


def check_document(message: str, data: bytes) -> None:
    """Refuses bytes that are no message of this name.

    Raises:
        ValueError: they cannot be read.
    """
    try:
        _MESSAGES[message].FromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from error


def serialized_explanation(explanation: Explanation) -> bytes:
    """Writes a map."""
    return encode_explanation(explanation).SerializeToString()


def serialized_predictions(predictions: MaskedPredictions) -> bytes:
    """Writes predictions under masks."""
    return encode_predictions(predictions).SerializeToString()
