"""The one mapping from the error tree to `google.rpc.Status`."""

from typing import Final

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from heatproof.evaluators.errors import HeatproofError, OverloadedError
from heatproof.server.api.interceptors.disclosure import disclosed
from heatproof.server.storage.failures import of_os_error

DOMAIN: Final = "heatproof"
_MAX_MESSAGE_BYTES: Final = 1000
"""gRPC drops replies whose trailers pass 8 KiB, and they hold the message three times."""
_MAX_METADATA_BYTES: Final = 200
_MAX_METADATA: Final = 6
_DEFAULT_DELAY_SECONDS: Final = 1.0


def status_of(error: HeatproofError, place: str = "") -> status_pb2.Status:
    """Describes an error: ErrorInfo always, BadRequest with a field, RetryInfo if a retry helps.

    Args:
        error: what happened.
        place: the method or the evaluation in which it happened, for the log.
    """
    error = disclosed(error, place)
    message = _clipped(error.message, _MAX_MESSAGE_BYTES)
    status = status_pb2.Status(code=code_pb2.Code.Value(error.code.value), message=message)
    status.details.add().Pack(_info(error))
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_clipped(error.field, _MAX_METADATA_BYTES), description=message
        )
        status.details.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if isinstance(error, OverloadedError):
        status.details.append(_packed(_retry(error)))
    return status


def from_os_error(error: OSError) -> HeatproofError | None:
    """A full or failing disk as an error of the tree; None for what is a defect."""
    return of_os_error(error)


def _info(error: HeatproofError) -> error_details_pb2.ErrorInfo:
    kept = list(error.metadata.items())[:_MAX_METADATA]
    metadata = {key: _clipped(value, _MAX_METADATA_BYTES) for key, value in kept}
    return error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)


def _retry(error: OverloadedError) -> error_details_pb2.RetryInfo:
    seconds = float(error.metadata.get("retry_delay_seconds", _DEFAULT_DELAY_SECONDS))
    delay = duration_pb2.Duration()
    delay.FromMilliseconds(round(1000 * seconds))
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _packed(detail: Message) -> any_pb2.Any:
    holder = any_pb2.Any()
    holder.Pack(detail)
    return holder


def _clipped(text: str, most: int) -> str:
    data = text.encode()
    if len(data) <= most:
        return text
    return data[: most - 3].decode(errors="ignore") + "..."
