"""Real servers on real sockets, each in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import grpc

from heatproof.server.application import running
from heatproof.server.settings import Settings
from heatproof.v1 import (
    catalog_service_pb2_grpc,
    dataset_service_pb2_grpc,
    explanation_service_pb2_grpc,
    masking_service_pb2_grpc,
    model_service_pb2_grpc,
)


@dataclass(frozen=True)
class Served:
    """A running server as a client sees it."""

    address: str
    settings: Settings
    channel: grpc.Channel

    @cached_property
    def models(self) -> Any:
        return model_service_pb2_grpc.ModelServiceStub(self.channel)

    @cached_property
    def datasets(self) -> Any:
        return dataset_service_pb2_grpc.DatasetServiceStub(self.channel)

    @cached_property
    def catalog(self) -> Any:
        return catalog_service_pb2_grpc.CatalogServiceStub(self.channel)

    @cached_property
    def explanations(self) -> Any:
        return explanation_service_pb2_grpc.ExplanationServiceStub(self.channel)

    @cached_property
    def masking(self) -> Any:
        return masking_service_pb2_grpc.MaskingServiceStub(self.channel)

    @property
    def leftovers(self) -> list[Path]:
        """Files of uploads that have not been stored."""
        return list((self.settings.data_dir / "incoming").rglob("*"))

    @property
    def blobs(self) -> set[str]:
        """Digests of the stored files."""
        return {path.name for path in (self.settings.data_dir / "blobs").glob("*/*")}


def settings_for(data_dir: Path, **changes: Any) -> Settings:
    """Settings of a small server on a free port."""
    usual = {
        "address": "127.0.0.1:0",
        "data_dir": data_dir,
        "threads": 1,
        "preload": False,
        "drain_seconds": 1.0,
    }
    return Settings(**{**usual, **changes})


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """Runs a server."""
    thread = _ServerThread(settings)
    thread.start()
    try:
        with grpc.insecure_channel(thread.address()) as channel:
            yield Served(thread.address(), settings, channel)
    finally:
        thread.stop()


class _ServerThread(threading.Thread):
    def __init__(self, settings: Settings) -> None:
        super().__init__(name="server", daemon=True)
        self._settings = settings
        self._answers = threading.Event()
        self._address = ""
        self._failure: BaseException | None = None
        self._halt: Callable[[], object] = lambda: None

    def address(self) -> str:
        """Waits until the server answers, and raises what keeps it from it."""
        assert self._answers.wait(60)
        if self._failure is not None:
            raise self._failure
        return self._address

    def stop(self) -> None:
        if self._failure is None:
            self._halt()
        self.join(60)
        assert not self.is_alive()

    def run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001  # raised again in the test's thread
            self._failure = failure
        finally:
            self._answers.set()

    async def _serve(self) -> None:
        stopping, loop = asyncio.Event(), asyncio.get_running_loop()
        self._halt = lambda: loop.call_soon_threadsafe(stopping.set)
        async with running(self._settings) as server:
            self._address = server.address
            self._answers.set()
            await stopping.wait()
