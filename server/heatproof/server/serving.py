"""Answers calls, once stores and workers are there."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.server.api import evaluation_documents, standard_services
from heatproof.server.api.interceptors import (
    Admission,
    GuardInterceptor,
    ReadingInterceptor,
    logged,
    mapped_errors,
)
from heatproof.server.api.reply_size import MAX_REPLY_BYTES
from heatproof.server.api.server_info import ServerInfo
from heatproof.server.api.services.registration import add_services
from heatproof.server.api.transport import bind
from heatproof.server.evaluations.assembly import evaluating
from heatproof.server.settings import Settings
from heatproof.server.stores import Stores
from heatproof.server.workers.protocol import Workers

_log = structlog.get_logger()

_CLIENT_PING_MS = 30_000
"""Least time between two pings of a client; one that pings more often is cut off."""
_PING_TIMEOUT_MS = 20_000
"""Time in which a client answers a ping before its connection is closed."""
_ENVELOPE_BYTES = 1 << 16
_PROBES = 256
"""Calls of health beside all others; more are refused by gRPC itself."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers.

    Attributes:
        address: what clients dial.
        server: the gRPC server.
    """

    address: str
    server: aio.Server


@asynccontextmanager
async def serving(
    settings: Settings, stores: Stores, workers: Workers, info: ServerInfo
) -> AsyncIterator[Running]:
    """Serves; leaving the context drains and stops the server.

    Raises:
        FailedPreconditionError: the address cannot be used.
    """
    async with AsyncExitStack() as stack:
        evaluations = await stack.enter_async_context(
            evaluating(
                settings,
                workers,
                evaluation_documents,
                store=stores.evaluations,
                baseline_store=stores.baselines,
                models=stores.models,
                datasets=stores.datasets,
            )
        )
        server = aio.server(
            interceptors=_interceptors(settings),
            options=_options(settings),
            maximum_concurrent_rpcs=settings.max_calls + _PROBES,
        )
        names = add_services(server, settings, stores, workers, evaluations, info=info)
        health = await standard_services.add(server, names)
        address = bind(server, settings)
        await server.start()
        stack.push_async_callback(_stop, server, health, settings.drain_seconds)
        _log.info("serving", address=address, data_dir=str(settings.data_dir))
        yield Running(address, server)


async def _stop(server: aio.Server, probe: standard_services.Probe, seconds: float) -> None:
    """Lets load balancers know, refuses new calls and gives the running ones their time."""
    _log.info("draining", seconds=seconds)
    await probe.enter_graceful_shutdown()
    await server.stop(seconds)


def _interceptors(settings: Settings) -> Sequence[GuardInterceptor | ReadingInterceptor]:
    """From the outside to the inside."""
    return (
        GuardInterceptor(logged),
        GuardInterceptor(mapped_errors),
        GuardInterceptor(Admission(settings)),
        ReadingInterceptor(settings),
    )


def _options(settings: Settings) -> Sequence[tuple[str, int]]:
    keepalive = round(1000 * settings.keepalive_seconds)
    return (
        # Beyond what any method takes: larger ones are refused with a reason where they are read.
        ("grpc.max_receive_message_length", settings.max_message_bytes + _ENVELOPE_BYTES),
        ("grpc.max_send_message_length", MAX_REPLY_BYTES),
        ("grpc.so_reuseport", 0),  # two servers on one port would share its calls silently
        ("grpc.max_concurrent_streams", settings.max_calls + _PROBES),
        ("grpc.max_connection_idle_ms", round(1000 * settings.connection_idle_seconds)),
        ("grpc.keepalive_time_ms", keepalive),
        ("grpc.keepalive_timeout_ms", _PING_TIMEOUT_MS),
        ("grpc.http2.min_ping_interval_without_data_ms", _CLIENT_PING_MS),
        ("grpc.keepalive_permit_without_calls", 1),
    )
