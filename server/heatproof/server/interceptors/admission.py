"""Admits as many calls of a kind at a time as the server can serve, and puts off the others."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from heatproof.evaluators.errors import OverloadedError
from heatproof.server.interceptors.guard import Context
from heatproof.server.settings import Settings


class Kind(StrEnum):
    """Kinds of calls that are counted."""

    UPLOAD = "upload"
    COMPUTATION = "computation"


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
    }
)
"""Every other method is cheap and always answered: health, reflection, Get, List, Watch, Cancel."""

_RETRY_SECONDS: Final = MappingProxyType({Kind.UPLOAD: 2, Kind.COMPUTATION: 5})


class Admission:
    """Counts the calls of each kind that run."""

    def __init__(self, settings: Settings) -> None:
        self._most = {
            Kind.UPLOAD: settings.max_uploads,
            Kind.COMPUTATION: settings.max_computations,
        }
        self._running: Counter[Kind] = Counter()

    @asynccontextmanager
    async def __call__(self, method: str, context: Context) -> AsyncIterator[None]:  # noqa: ARG002  # a guard's signature
        """Holds a place for a call.

        Raises:
            OverloadedError: all places are taken; says when to come again.
        """
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

    def _check(self, kind: Kind) -> None:
        if self._running[kind] < self._most[kind]:
            return
        seconds = _RETRY_SECONDS[kind]
        raise OverloadedError(
            f"the server runs {self._most[kind]} calls of kind {kind} already, its most; retry in "
            f"{seconds} s",
            metadata={"kind": kind, "retry_delay_seconds": str(seconds)},
        )
