"""Messages of the model service."""

from typing import TYPE_CHECKING, Final

from heatproof.evaluators.errors import InvalidArgumentError, placed
from heatproof.server.api.catalog import catalogue
from heatproof.server.api.codec.fields.decoding import decode
from heatproof.server.api.codec.fields.encoding import encode
from heatproof.server.api.codec.fields.enums import decode_enum
from heatproof.server.api.usability import usability
from heatproof.server.models.downloads import DownloadModelHeader
from heatproof.server.models.model_store import StoredModel
from heatproof.server.models.transfers import Chunk
from heatproof.v1 import model_pb2, model_service_pb2, transfer_pb2

if TYPE_CHECKING:
    from heatproof.server.workers.tasks import Addition, Rewrite

_PLATFORMS: Final = model_service_pb2.DownloadModelRequest.Platform.DESCRIPTOR


def encode_model(stored: StoredModel) -> model_pb2.Model:
    """Makes the message of a stored model."""
    message = model_pb2.Model(name=stored.name, display_name=stored.display_name)
    message.create_time.FromDatetime(stored.create_time)
    for file in stored.files:
        message.files.add(location=file.location, size_bytes=file.size_bytes, sha256=file.sha256)
    message.facts.ParseFromString(stored.facts)
    found = usability(message.facts, catalogue())
    message.usability.CopyFrom(encode(found, model_pb2.Usability))
    return message


def decode_rewrite(message: model_service_pb2.DownloadModelRequest) -> "Rewrite | None":
    """Reads which rewrite is asked for; None for the files as uploaded.

    Raises:
        InvalidArgumentError: an option has no such value, options exclude each other, or the files
            as uploaded are asked for another platform.
    """
    from heatproof.graphs.lowering import Platform  # noqa: PLC0415  # loads ONNX
    from heatproof.server.workers.tasks import Rewrite  # noqa: PLC0415  # as above

    addition = _decode_addition(message)
    if addition is not None:
        platform = message.platform or message.PLATFORM_PORTABLE
        with placed("platform"):
            return Rewrite(addition, Platform(decode_enum(_PLATFORMS, platform, Platform)))
    if message.platform:
        raise InvalidArgumentError(
            "a model without a rewrite is sent as it was uploaded, for no platform: leave platform "
            "out, or name a rewrite",
            field="platform",
        )
    return None


def _decode_addition(message: model_service_pb2.DownloadModelRequest) -> "Addition | None":
    from heatproof.graphs.masking.options import MaskingOptions  # noqa: PLC0415  # loads ONNX
    from heatproof.server.workers.tasks import GradientRewrite  # noqa: PLC0415  # as above

    match message.WhichOneof("rewrite"):
        case "layer_masking":
            with placed("layer_masking"):
                return decode(message.layer_masking, MaskingOptions)
        case "gradient":
            return GradientRewrite(message.gradient.output)
        case _:
            return None


def encode_download(part: DownloadModelHeader | Chunk) -> model_service_pb2.DownloadModelResponse:
    """Makes the message of a piece of a download."""
    if isinstance(part, Chunk):
        chunk = encode(part, transfer_pb2.Chunk)
        return model_service_pb2.DownloadModelResponse(chunk=chunk)
    header = encode(part, model_service_pb2.DownloadModelHeader)
    return model_service_pb2.DownloadModelResponse(header=header)
