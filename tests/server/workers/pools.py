"""Pools as the server makes them."""

from heatproof.server.api.codec.worker_documents import check_document
from heatproof.server.workers.local.pool import PoolSettings, WorkerPool


def started(settings: PoolSettings) -> WorkerPool:
    """A pool whose context starts its workers."""
    return WorkerPool(settings, check_document)
