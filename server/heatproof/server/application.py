"""Puts the server together and runs it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from heatproof.evaluators.registry.plugins import load_plugins, plugin_paths
from heatproof.server.library_loading import uncollected
from heatproof.server.settings import Settings
from heatproof.server.stores import Stores, opened_stores
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from heatproof.server.workers.local.sandbox.confinement import Confinement, Mode, Protection
from heatproof.server.workers.local.sandbox.probing import probe
from heatproof.server.workers.protocol import Workers
from heatproof.server.workers.repair import RepairingWorkers

if TYPE_CHECKING:
    from heatproof.server.serving import Running  # as `running` says

_log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings) -> "AsyncIterator[Running]":
    """Runs a server; leaving the context drains and stops it.

    Raises:
        FailedPreconditionError: the address or the data directory cannot be used.
    """
    load_plugins()
    async with AsyncExitStack() as stack:
        stores = stack.enter_context(opened_stores(settings))
        granted, protection = await _granted(settings, stores)
        pool = await stack.enter_async_context(WorkerPool(granted, _check_document))
        # The workers load their libraries meanwhile.
        with uncollected():
            from heatproof.server.api.server_info import server_info  # noqa: PLC0415
            from heatproof.server.serving import serving  # noqa: PLC0415

        info = server_info(granted, protection)
        workers = _attended(pool, stores)
        yield await stack.enter_async_context(serving(settings, stores, workers, info))


def _attended(pool: Workers, stores: Stores) -> Workers:
    """Workers whose word on damaged files is looked into, and whose findings are kept."""
    from heatproof.server.models.run_sizes import RunSizeWorkers  # noqa: PLC0415  # as in `running`
    from heatproof.server.workers.apart import ApartWorkers  # noqa: PLC0415  # as in `running`
    from heatproof.server.workers.keeping import KeepingWorkers  # noqa: PLC0415  # likewise

    measuring = RunSizeWorkers(pool, stores.run_sizes)
    if stores.answers is None:
        return RepairingWorkers(measuring, stores.ownership)
    keeping = KeepingWorkers(measuring, stores.answers)
    return RepairingWorkers(ApartWorkers(keeping), stores.ownership)


def _check_document(message: str, data: bytes) -> None:
    from heatproof.server.api.codec.worker_documents import check_document  # noqa: PLC0415  # as above

    check_document(message, data)


def confinement_of(settings: Settings, stores: Stores) -> Confinement:
    """The sandbox of the workers: of what is stored, blobs, answers and scratch; and plug-ins."""
    folder = stores.ownership.folder
    answers = () if stores.answers is None else (str(stores.answers.root),)
    return Confinement(
        mode=settings.sandbox,
        readable=(*map(str, folder.readable), *answers, *plugin_paths()),
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
        batch_rows=0 if settings.batch_rows == "fastest" else int(settings.batch_rows),
        provider=settings.provider,
        views=settings.views,
        memory_bytes=settings.worker_memory_bytes,
        data_dir=settings.data_dir,
        answers_dir=settings.answers_folder,
        limits=settings.limits,
        preload=settings.preload,
        share=settings.share_workers,
    )
