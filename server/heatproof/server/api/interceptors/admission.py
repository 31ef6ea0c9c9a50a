"""Admits as many calls of a kind at a time as the server can serve, and puts off the others."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, cast

from heatproof.evaluators.errors import OverloadedError
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.settings import Settings


class Kind(StrEnum):
    """Kinds of calls that are counted."""

    UPLOAD = "upload"
    COMPUTATION = "computation"
    STREAM = "stream"


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "/heatproof.v1.ModelService/UploadModel": Kind.UPLOAD,
        "/heatproof.v1.DatasetService/UploadDataset": Kind.UPLOAD,
        "/heatproof.v1.ModelService/DownloadModel": Kind.COMPUTATION,
        "/heatproof.v1.ExplanationService/Explain": Kind.COMPUTATION,
        "/heatproof.v1.MaskingService/Predict": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/Evaluate": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/CreateEvaluation": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/GateEvaluation": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/CompareModels": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/AssessMetrics": Kind.COMPUTATION,
        "/heatproof.v1.EvaluationService/WatchEvaluation": Kind.STREAM,
        "/heatproof.v1.EvaluationService/ListImageResults": Kind.STREAM,
        "/heatproof.v1.EvaluationService/ListMetricResults": Kind.STREAM,
        "/heatproof.v1.EvaluationService/ListConsistencyWeights": Kind.STREAM,
        "/grpc.health.v1.Health/Watch": Kind.STREAM,
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": Kind.STREAM,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Kind.STREAM,
    }
)
"""Every other method is cheap and holds no place of a kind: Get, List, Cancel, Delete."""

UNCOUNTED: Final = "/grpc.health.v1.Health/Check"
"""The one method that no number of other calls may keep out."""

_RETRY_SECONDS: Final = MappingProxyType({Kind.UPLOAD: 2, Kind.COMPUTATION: 5, Kind.STREAM: 5})
_BUSY_RETRY_SECONDS: Final = 2


class Admission:
    """Counts the calls of each kind that run, and those that have not ended."""

    def __init__(self, settings: Settings) -> None:
        self._most = {
            Kind.UPLOAD: settings.max_uploads,
            Kind.COMPUTATION: settings.max_computations,
            Kind.STREAM: settings.max_streams,
        }
        self._most_open = settings.max_calls
        self._running: Counter[Kind] = Counter()
        self._open = 0

    @asynccontextmanager
    async def __call__(self, method: str, context: Context) -> AsyncIterator[None]:
        """Holds a place for a call.

        Raises:
            OverloadedError: all places are taken; says when to come again.
        """
        if method != UNCOUNTED:
            self._enter(context)
        kind = KINDS.get(method)
        if kind is None:
            yield
            return
        self._check(kind)
        self._running[kind] += 1
        try:
            yield
        finally:
            self._running[kind] -= 1

    def _enter(self, context: Context) -> None:
        """Counts a call until its status is sent: that of an unread stream waits for its client."""
        if self._open >= self._most_open:
            raise _overloaded(
                f"{self._open} calls have not ended, the server's most", _BUSY_RETRY_SECONDS
            )
        self._open += 1
        context.add_done_callback(cast("Any", self._leave))  # the stubs want a protocol of theirs

    def _leave(self, *_: object) -> None:
        self._open -= 1

    def _check(self, kind: Kind) -> None:
        if self._running[kind] >= self._most[kind]:
            raise _overloaded(
                f"the server runs {self._most[kind]} calls of kind {kind} already, its most",
                _RETRY_SECONDS[kind],
                kind=kind,
            )


def _overloaded(fault: str, seconds: int, **facts: str) -> OverloadedError:
    return OverloadedError(
        f"{fault}; retry in {seconds} s", metadata={**facts, "retry_delay_seconds": str(seconds)}
    )
