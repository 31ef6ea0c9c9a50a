"""Pools of real worker processes that know the tasks of these tests."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from heatproof.server.workers.local.pool import PoolSettings, WorkerPool
from tests.server.workers.pools import started

ROOT = str(Path.cwd())


@pytest.fixture(autouse=True, scope="session")
def _workers_know_fault_tasks() -> Iterator[None]:
    inherited = os.environ.get("PYTHONPATH", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [ROOT, inherited])))
        yield


@pytest.fixture(scope="session")
def settings() -> PoolSettings:
    return PoolSettings(interactive_workers=1, threads=1, preload=False, poll_seconds=0.02)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pool(
    settings: PoolSettings, _workers_know_fault_tasks: None
) -> AsyncIterator[WorkerPool]:
    """One pool for all tests that leave it as they find it."""
    async with started(settings) as pool:
        yield pool
