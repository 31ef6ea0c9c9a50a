"""How calls are refused: the status and its details, as a client reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass
class Refusal:
    """The status of a call that was refused; filled when the call has ended."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str] | None = None
    field: str = ""
    retry_seconds: float | None = None


@contextmanager
def refused() -> Iterator[Refusal]:
    """Expects the call inside to be refused with a `google.rpc.Status`."""
    refusal = Refusal()
    with pytest.raises(grpc.RpcError) as caught:
        yield refusal
    _fill(refusal, caught.value)


def refusal_of(error: Any) -> Refusal:
    """The status of a call that has been refused."""
    refusal = Refusal()
    _fill(refusal, error)
    return refusal


def _fill(refusal: Refusal, error: Any) -> None:
    status = rpc_status.from_call(error)
    assert status is not None, f"{error.code()} without google.rpc.Status: {error.details()}"
    refusal.code, refusal.message = error.code(), status.message
    info, bad, retry = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
        error_details_pb2.RetryInfo(),
    )
    for detail in status.details:
        if detail.Unpack(info):
            refusal.reason, refusal.domain = info.reason, info.domain
            refusal.metadata = dict(info.metadata)
        if detail.Unpack(bad):
            refusal.field = bad.field_violations[0].field
        if detail.Unpack(retry):
            refusal.retry_seconds = retry.retry_delay.ToTimedelta().total_seconds()
