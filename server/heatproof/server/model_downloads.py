"""Sends the files of a model, as uploaded or rewritten by a worker."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from heatproof.server.model_uploads import MODEL_FILE
from heatproof.server.resource_names import ModelName
from heatproof.server.stores.holdings import StoredFile
from heatproof.server.stores.models import ModelStore
from heatproof.server.transfers import Chunk, sent
from heatproof.server.workers.protocol import Workers

if TYPE_CHECKING:
    from heatproof.server.workers.tasks import Rewrite


@dataclass(frozen=True, slots=True)
class DownloadModelHeader:
    """Describes the files of a download, the model file first."""

    files: tuple[StoredFile, ...]


class ModelDownloads:
    """Sends models."""

    def __init__(self, store: ModelStore, workers: Workers) -> None:
        self._store = store
        self._workers = workers

    async def send(
        self, name: ModelName, rewrite: "Rewrite | None"
    ) -> AsyncIterator[DownloadModelHeader | Chunk]:
        """Yields a header, then the chunks of its files.

        Raises:
            NotFoundError: the model is not stored.
            UnsupportedOperatorError: the rewrite has no rule for an operator of the model.
        """
        with ExitStack() as stack:
            if rewrite is None:
                files = (await asyncio.to_thread(self._store.get, name)).files
                paths = [self._store.holdings.path(file.sha256) for file in files]
            else:
                folder = stack.enter_context(self._store.holdings.folder.scratch())
                paths = await self._rewritten(name, rewrite, folder)
                files = await asyncio.to_thread(_described, paths)
            yield DownloadModelHeader(files)
            async for chunk in sent(paths):
                yield chunk

    async def _rewritten(self, name: ModelName, rewrite: "Rewrite", folder: Path) -> list[Path]:
        from heatproof.server.workers.tasks import RewriteModel  # noqa: PLC0415  # loads ONNX

        model = await asyncio.to_thread(self._store.files, name)
        names = await self._workers.call(RewriteModel(model, rewrite, folder))
        return [folder / name for name in names]


def _described(paths: Sequence[Path]) -> tuple[StoredFile, ...]:
    locations = [MODEL_FILE, *(path.name for path in paths[1:])]
    return tuple(
        StoredFile(location, path.stat().st_size, _sha256(path))
        for location, path in zip(locations, paths, strict=True)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
