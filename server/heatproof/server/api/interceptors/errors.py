"""Turns every exception into a status."""

import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it
from grpc_status import rpc_status

from heatproof.evaluators.errors import HeatproofError
from heatproof.server.api.interceptors.disclosure import logged_error
from heatproof.server.api.interceptors.guard import Context
from heatproof.server.api.interceptors.status import from_os_error, status_of


@asynccontextmanager
async def mapped_errors(method: str, context: Context) -> AsyncIterator[None]:
    """Ends a call with the status of the exception that its handler raises."""
    try:
        yield
    except HeatproofError as error:
        status = rpc_status.to_status(status_of(error, method))
        _forget(error)
        await context.abort(status.code, status.details, status.trailing_metadata)
    except (aio.AbortError, aio.UsageError):
        raise  # the standard services end calls themselves
    except Exception as error:  # noqa: BLE001  # the one place where everything unexpected is caught
        known = from_os_error(error) if isinstance(error, OSError) else None
        status = rpc_status.to_status(status_of(known or logged_error(error, method), method))
        _forget(error)
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
