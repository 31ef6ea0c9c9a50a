"""One line in the log for every call that ends."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import grpc
import structlog

from heatproof.server.api.interceptors.guard import Context

_log = structlog.get_logger()

_QUIET: Final = ("/grpc.health.v1.", "/grpc.reflection.")
"""Probes would drown the rest."""


@asynccontextmanager
async def logged(method: str, context: Context) -> AsyncIterator[None]:
    """Logs method, peer, status and seconds of a call."""
    start = time.perf_counter()
    try:
        yield
    finally:
        level = _log.debug if method.startswith(_QUIET) else _log.info
        level(
            "call",
            method=method,
            peer=context.peer(),
            status=_status(context),
            seconds=round(time.perf_counter() - start, 4),
        )


def _status(context: Context) -> str:
    if context.cancelled():
        return grpc.StatusCode.CANCELLED.name
    code = context.code() or grpc.StatusCode.OK
    for known in grpc.StatusCode:
        if code in {known, known.value[0]}:
            return known.name
    return str(code)
