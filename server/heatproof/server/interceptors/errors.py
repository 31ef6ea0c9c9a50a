"""Turns every exception into a status."""

import secrets
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it
from grpc_status import rpc_status

from heatproof.evaluators.errors import HeatproofError, InternalError
from heatproof.server.interceptors.guard import Context
from heatproof.server.interceptors.status import from_os_error, status_of

_log = structlog.get_logger()


@asynccontextmanager
async def mapped_errors(method: str, context: Context) -> AsyncIterator[None]:
    """Ends a call with the status of the exception that its handler raises."""
    try:
        yield
    except HeatproofError as error:
        await _abort(error, context)
    except (aio.AbortError, aio.UsageError):
        raise  # the standard services end calls themselves
    except Exception as error:  # noqa: BLE001  # the one place where everything unexpected is caught
        known = from_os_error(error) if isinstance(error, OSError) else None
        reply = known or _unexpected(error, method)
        _forget(error)
        await _abort(reply, context)


async def _abort(error: HeatproofError, context: Context) -> None:
    _forget(error)
    status = rpc_status.to_status(status_of(error))
    await context.abort(status.code, status.details, status.trailing_metadata)


def _forget(error: BaseException) -> None:
    """Lets go of the requests in the frames that an error came through.

    grpcio keeps the abort, the abort its context, and that the frames: a circle that would hold
    the bytes of refused requests until the next full garbage collection.
    """
    link: BaseException | None = error
    while link is not None:
        traceback.clear_frames(link.__traceback__)
        link = link.__cause__ or link.__context__


def _unexpected(error: Exception, method: str) -> HeatproofError:
    """Logs a defect and tells the caller nothing but where to find it."""
    error_id = secrets.token_hex(8)
    _log.error("unexpected error", error_id=error_id, method=method, exc_info=error)
    return InternalError(
        f"the server failed; its log has the reason under error id {error_id}",
        metadata={"error_id": error_id},
    )
