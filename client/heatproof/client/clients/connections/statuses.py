"""From a failed gRPC call to the client's own errors."""

import re
from dataclasses import replace
from typing import Final

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from heatproof.client import errors
from heatproof.client.errors import FieldViolation, ServiceError, Status

ERRORS: Final[dict[str, type[ServiceError]]] = {
    "INVALID_ARGUMENT": errors.InvalidArgumentError,
    "OUT_OF_RANGE": errors.InvalidArgumentError,
    "FAILED_PRECONDITION": errors.FailedPreconditionError,
    "NOT_FOUND": errors.NotFoundError,
    "ABORTED": errors.ConflictError,
    "ALREADY_EXISTS": errors.ConflictError,
    "RESOURCE_EXHAUSTED": errors.ResourceExhaustedError,
    "UNAVAILABLE": errors.UnavailableError,
    "DEADLINE_EXCEEDED": errors.DeadlineExceededError,
    "DATA_LOSS": errors.DataLossError,
    "PERMISSION_DENIED": errors.PermissionDeniedError,
    "UNAUTHENTICATED": errors.PermissionDeniedError,
}
"""The error of each canonical code; the others are `InternalError`."""

_TOO_LARGE: Final = re.compile(r"message larger than max \((?P<size>\d+) vs\. (?P<most>\d+)\)")


def service_error(failed: grpc.RpcError) -> ServiceError:
    """Reads code, message and details of a call that failed, made on a sync or async channel."""
    code = failed.code().name
    message = failed.details() or ""
    details = rpc_status.from_call(failed)  # type: ignore[arg-type]  # a failed call is a grpc.Call
    status = read_status(details, code=code) if details else Status(code=code, message=message)
    return ERRORS.get(code, errors.InternalError)(_with_way_out(status))


def _with_way_out(status: Status) -> Status:
    """Explains what gRPC refuses by itself, before any service sees the call."""
    sizes = _TOO_LARGE.search(status.message)
    if status.reason or sizes is None:
        return status
    size, most = sizes["size"], sizes["most"]
    return replace(
        status,
        message=f"the message has {size} bytes and the server takes {most}: send smaller images or "
        "fewer maps, or start it with a larger HEATPROOF_MAX_MESSAGE_BYTES",
        reason="LIMIT_EXCEEDED",
        metadata={"bytes": size, "max_bytes": most},
    )


def read_status(message: status_pb2.Status, *, code: str) -> Status:
    """Reads the details that the contract promises: ErrorInfo, BadRequest and RetryInfo."""
    info = error_details_pb2.ErrorInfo()
    request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    for detail in message.details:
        _ = detail.Unpack(info) or detail.Unpack(request) or detail.Unpack(retry)
    delay = retry.retry_delay.ToTimedelta().total_seconds()
    return Status(
        code=code,
        message=message.message,
        reason=info.reason,
        violations=tuple(
            FieldViolation(violation.field, violation.description)
            for violation in request.field_violations
        ),
        metadata=dict(info.metadata),
        retry_delay=delay if retry.HasField("retry_delay") else None,
    )
