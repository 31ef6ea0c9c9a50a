"""How large the requests of each method may be: read before anything is decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from heatproof.server.models.uploads import MAX_FILES
from heatproof.server.settings import KIBIBYTE, MEBIBYTE, Settings


@dataclass(frozen=True, slots=True)
class MessageBounds:
    """How large a request message may be.

    Attributes:
        max_bytes: bytes on the wire.
        max_fields: fields with those of inner messages, and elements of packed fields.
    """

    max_bytes: int
    max_fields: int


_SMALL: Final = MessageBounds(64 * KIBIBYTE, 1_000)
"""Names, pages, and the requests of health and reflection."""

_FIXED: Final[Mapping[str, MessageBounds]] = MappingProxyType(
    {
        "/heatproof.v1.ModelService/UploadModel": MessageBounds(2 * MEBIBYTE, 40_000),
    }
)

_MAX_FIELDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "/heatproof.v1.DatasetService/UploadDataset": 20_000,
        "/heatproof.v1.ExplanationService/Explain": 20_000,
        "/heatproof.v1.MaskingService/Predict": 20_000,
        "/heatproof.v1.EvaluationService/Evaluate": 20_000,
        # The policy of a judged model brings the names of its classes.
        "/heatproof.v1.BaselineService/SetBaseline": 40_000,
        # A recorded baseline brings the digests of every image.
        "/heatproof.v1.EvaluationService/CreateEvaluation": 400_000,
        # A recorded baseline brings the scores of every image.
        "/heatproof.v1.EvaluationService/GateEvaluation": 2_000_000,
    }
)
"""Methods whose messages hold much; their bytes are the operator's `max_message_bytes`."""

MAX_COUNTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "google.protobuf.ListValue.values": 4096,
        "google.protobuf.Struct.fields": 256,
        "heatproof.v1.Arcc.shares": 100,
        "heatproof.v1.Baseline.image_results": 100_000,
        "heatproof.v1.BoxIou.thresholds": 100,
        "heatproof.v1.ClassGroup.classes": 1000,
        "heatproof.v1.Comprehensiveness.shares": 100,
        "heatproof.v1.Concordance.sizes": 64,
        "heatproof.v1.EffectiveHeatRatio.thresholds": 100,
        "heatproof.v1.EvaluateRequest.images": 64,
        "heatproof.v1.EvaluationSpec.class_names": 10_000,
        "heatproof.v1.EvaluationSpec.explainers": 64,
        "heatproof.v1.EvaluationSpec.metrics": 256,
        "heatproof.v1.EvaluationSpec.models": 64,
        "heatproof.v1.EvaluationSpec.removals": 64,
        "heatproof.v1.ExplainRequest.class_names": 10_000,
        "heatproof.v1.ExplainRequest.explainers": 64,
        "heatproof.v1.ExplainRequest.images": 64,
        "heatproof.v1.Image.attribution_maps": 64,
        "heatproof.v1.Image.boxes": 1000,
        "heatproof.v1.LabelSet.classes": 1000,
        "heatproof.v1.ListMetricResultsRequest.explainers": 64,
        "heatproof.v1.ListMetricResultsRequest.metrics": 256,
        "heatproof.v1.ListMetricResultsRequest.models": 64,
        "heatproof.v1.ListMetricResultsRequest.removals": 64,
        "heatproof.v1.Policy.checks": 1000,
        "heatproof.v1.Policy.explainers": 64,
        "heatproof.v1.Policy.removals": 64,
        "heatproof.v1.PolicyModel.class_names": 10_000,
        "heatproof.v1.Preprocessing.mean": 16,
        "heatproof.v1.Preprocessing.std": 16,
        "heatproof.v1.RoadCombined.shares": 100,
        "heatproof.v1.RoadLerf.shares": 100,
        "heatproof.v1.RoadMorf.shares": 100,
        "heatproof.v1.SensitivityN.sizes": 100,
        "heatproof.v1.Sufficiency.shares": 100,
        "heatproof.v1.Tensor.shape": 16,
        "heatproof.v1.UploadModelHeader.files": MAX_FILES,
    }
)
"""Most elements of the repeated fields that clients fill, by full name.

Where the contract allows fewer, the codec says so in its own words.
"""


def bounds_of(method: str, settings: Settings) -> MessageBounds:
    """The bounds of a method, such as `/heatproof.v1.ModelService/GetModel`."""
    if method in _MAX_FIELDS:
        return MessageBounds(settings.max_message_bytes, _MAX_FIELDS[method])
    return _FIXED.get(method, _SMALL)
