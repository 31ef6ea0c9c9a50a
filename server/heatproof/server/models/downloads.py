"""Sends the files of a model, as uploaded or rewritten by a worker."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from heatproof.evaluators.errors import InternalError, InvalidArgumentError
from heatproof.server.models.model_store import ModelStore
from heatproof.server.models.transfers import Chunk, sent
from heatproof.server.models.uploads import MODEL_FILE
from heatproof.server.resource_names import ModelName
from heatproof.server.storage.blob_ownership import StoredFile
from heatproof.server.storage.integrity import damaged
from heatproof.server.workers.protocol import Workers
from heatproof.server.workers.tasks import Rewrite, RewriteModel

MAX_FILE_NAME_BYTES: Final = 200
"""File systems take 255; the rest is for suffixes."""


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
        self, name: ModelName, rewrite: "Rewrite | None", file_name: str = ""
    ) -> AsyncGenerator[DownloadModelHeader | Chunk, None]:
        """Yields a header, then the chunks of its files.

        Args:
            name: the model.
            rewrite: what is added; None for the files as uploaded.
            file_name: name of the rewritten file, by which its external data are named.

        Raises:
            InvalidArgumentError: the name is no plain file name.
            NotFoundError: the model is not stored.
            DamagedFileError: a file of it is missing or damaged.
            UnsupportedOperatorError: the rewrite has no rule for an operator of the model.
        """
        with ExitStack() as stack:
            if rewrite is None:
                files = await asyncio.to_thread(self._sound_files, name)
                paths = [self._store.ownership.path(file.sha256) for file in files]
            else:
                folder = stack.enter_context(self._store.ownership.folder.scratch())
                paths = await self._rewritten(name, rewrite, folder / _checked(file_name))
                files = await asyncio.to_thread(_described, paths)
            yield DownloadModelHeader(files)
            async with aclosing(sent(paths)) as chunks:
                async for chunk in chunks:
                    yield chunk

    def _sound_files(self, name: ModelName) -> tuple[StoredFile, ...]:
        files = self._store.get(name).files
        for file in files:
            if self._store.ownership.quarantine_if_damaged(file.sha256):
                self._store.get(name)  # NotFoundError if it was deleted meanwhile
                raise damaged(file.sha256)
        return files

    async def _rewritten(self, name: ModelName, rewrite: "Rewrite", path: Path) -> list[Path]:
        model = await asyncio.to_thread(self._store.files, name)
        task = RewriteModel(model, rewrite, path.parent.name, path.name)
        paths = [path.parent / name for name in await self._workers.call(task)]
        await asyncio.to_thread(_require_files, paths)
        return paths


def _require_files(paths: Sequence[Path]) -> None:
    """Refuses what a worker may have put in place of a file, such as a link to another one."""
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise InternalError(f"the worker wrote no file {path.name!r}; try again")


def _checked(file_name: str) -> str:
    name = file_name or MODEL_FILE
    is_plain = name not in {".", ".."} and not {"/", "\\", "\0"} & set(name)
    if not is_plain or len(name.encode()) > MAX_FILE_NAME_BYTES:
        raise InvalidArgumentError(
            f"{name!r} is no plain file name of at most {MAX_FILE_NAME_BYTES} bytes; leave folders "
            "out",
            field="file_name",
        )
    return name


def _described(paths: Sequence[Path]) -> tuple[StoredFile, ...]:
    locations = [MODEL_FILE, *(path.name for path in paths[1:])]
    return tuple(
        StoredFile(location, path.stat().st_size, _sha256(path))
        for location, path in zip(locations, paths, strict=True)
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
