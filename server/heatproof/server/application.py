"""Puts the server together and runs it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import structlog
from grpc import aio  # pyright: ignore[reportAttributeAccessIssue] # the stubs forget it

from heatproof.evaluators.registry.plugins import load_plugins, plugin_paths
from heatproof.server.api import evaluation_documents, standard_services
from heatproof.server.api.codec.worker_documents import check_document
from heatproof.server.api.interceptors import (
    Admission,
    GuardInterceptor,
    ReadingInterceptor,
    logged,
    mapped_errors,
)
from heatproof.server.api.server_info import server_info
from heatproof.server.api.services.registration import add_services
from heatproof.server.api.transport import bind
from heatproof.server.evaluations.assembly import evaluating
from heatproof.server.settings import MAX_REPLY_BYTES, Settings
from heatproof.server.stores import Stores, opened_stores
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.server.workers.local.sandbox.confinement import Confinement, Mode, Protection
from heatproof.server.workers.local.sandbox.probing import probe
from heatproof.server.workers.repair import RepairingWorkers

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
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Runs a server; leaving the context drains and stops it.

    Raises:
        FailedPreconditionError: the address or the data directory cannot be used.
    """
    load_plugins()
    async with AsyncExitStack() as stack:
        stores = stack.enter_context(opened_stores(settings))
        granted, protection = await _granted(settings, stores)
        pool = await stack.enter_async_context(WorkerPool(granted, check_document))
        workers = RepairingWorkers(pool, stores.ownership)
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
        info = server_info(granted, protection)
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


def confinement_of(settings: Settings, stores: Stores) -> Confinement:
    """The sandbox of the workers: of all that is stored, blobs and scratch alone; and plug-ins."""
    folder = stores.ownership.folder
    return Confinement(
        mode=settings.sandbox,
        readable=(*map(str, folder.readable), *plugin_paths()),
        writable=tuple(map(str, folder.writable)),
    )


async def _granted(settings: Settings, stores: Stores) -> tuple[PoolSettings, Protection]:
    """What the workers get of this machine, and which layers of the sandbox they run under."""
    confinement = confinement_of(settings, stores)
    protection = await asyncio.to_thread(probe, confinement)
    _warn(protection, settings)
    return replace(pool_settings(settings), confinement=confinement).granted(), protection


def _warn(protection: Protection, settings: Settings) -> None:
    """Says which layers of the sandbox are missing, unless they were turned off on purpose."""
    if settings.sandbox is not Mode.OFF:
        for layer, why in protection.missing.items():
            _log.warning("workers run without a layer of their sandbox", layer=layer, reason=why)


def pool_settings(settings: Settings) -> PoolSettings:
    """What the workers are told."""
    return PoolSettings(
        bulk_workers=settings.workers,
        interactive_workers=settings.interactive_workers,
        inspection_workers=settings.inspection_workers,
        threads=settings.threads,
        memory_bytes=settings.worker_memory_bytes,
        data_dir=settings.data_dir,
        limits=settings.limits,
        preload=settings.preload,
    )


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
