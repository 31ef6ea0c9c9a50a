"""Takes a model in: announced, received, inspected by a worker, stored."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError, placed
from heatproof.evaluators.queries.class_outputs import UNSTATED, Statement
from heatproof.server.models.model_store import ModelStore, StoredModel
from heatproof.server.models.transfers import Chunk, FileInfo, Reception, receiving
from heatproof.server.resource_names import ModelName, check_display_name
from heatproof.server.storage.blobs import PartialBlob
from heatproof.server.workers.inputs import Blob, ModelFiles
from heatproof.server.workers.protocol import Lane, Workers
from heatproof.server.workers.tasks import InspectModel

MODEL_FILE: Final = "model.onnx"
"""Location of the model file itself."""

MAX_FILES: Final = 4096
"""Most files of a model: old exporters write one for each tensor."""


@dataclass(frozen=True, slots=True)
class UploadModelHeader:
    """Announces the files of a model.

    Attributes:
        display_name: name to show.
        files: the model file first.
    """

    files: tuple[FileInfo, ...]
    display_name: str = ""

    def __post_init__(self) -> None:
        check_display_name(self.display_name)
        locations = [file.location for file in self.files]
        if len(locations) > MAX_FILES:
            raise LimitExceededError(
                f"{len(locations)} files; a model has at most {MAX_FILES}: export its external "
                "data to one file",
                field="files",
            )
        if locations[0] != MODEL_FILE:
            raise InvalidArgumentError(
                f"the first file must be the model itself, at location {MODEL_FILE!r}, not "
                f"{locations[0]!r}",
                field="files[0].location",
            )
        first = {location: index for index, location in reversed(list(enumerate(locations)))}
        for index, location in enumerate(locations):
            if first[location] < index:
                raise InvalidArgumentError(
                    f"two files at location {location!r}; locations are unique",
                    field=f"files[{index}].location",
                )

    @property
    def name(self) -> ModelName:
        """Name of the model that these files make."""
        return ModelName.of_files((file.location, file.sha256) for file in self.files)

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(file.size_bytes for file in self.files)


class ModelUploads:
    """Takes models in."""

    def __init__(self, store: ModelStore, workers: Workers, *, max_bytes: int) -> None:
        self._store = store
        self._workers = workers
        self._max_bytes = max_bytes

    async def take(self, header: UploadModelHeader, chunks: AsyncIterator[Chunk]) -> StoredModel:
        """Stores a model; one that is stored already is returned without reading any chunk.

        One whose files are missing or damaged is received anew, which repairs it.

        Raises:
            LimitExceededError: the model, or the store with it, becomes too large.
            StorageFullError: the disk has no room for it.
            InvalidArgumentError: the chunks do not fit the header.
            DataLossError: the bytes have another digest than was announced.
            InvalidModelError: the bytes are no usable model.
        """
        found = await asyncio.to_thread(self._store.find_sound, header.name)
        if found is not None:
            return found
        if header.size_bytes > self._max_bytes:
            raise LimitExceededError(
                f"the model has {header.size_bytes} bytes; this server takes at most "
                f"{self._max_bytes}",
                field="header.files",
            )
        ownership = self._store.ownership
        with ownership.reservation() as room, receiving(ownership.folder, header.files) as files:
            await asyncio.to_thread(room.grow, header.size_bytes)
            await files.receive(chunks)
            facts = await self._inspected(header.name, files)
            return await asyncio.to_thread(
                self._store.add, header.name, header.display_name, files.parts, facts
            )

    async def described(self, name: ModelName, stated: Statement) -> StoredModel:
        """Finds a model, inspected anew if something is stated of its class output.

        Raises:
            NotFoundError: it is not stored.
            InvalidArgumentError: what is stated contradicts the graph.
        """
        stored = await asyncio.to_thread(self._store.get, name)
        if stated == UNSTATED:
            return stored
        files = await asyncio.to_thread(self._store.files, name)
        facts = await self._workers.call(InspectModel(files, stated))
        return replace(stored, facts=facts)

    async def _inspected(self, name: ModelName, files: Reception) -> bytes:
        """Serialised facts of a model that has arrived."""
        (_, model), *external = files.parts
        named = {location: _blob(partial) for location, partial in external}
        size_bytes = sum(partial.size_bytes for _, partial in files.parts)
        task = InspectModel(ModelFiles(str(name), _blob(model), named, size_bytes))
        try:
            return await self._workers.call(task, lane=Lane.INSPECTION)
        except InvalidArgumentError:
            with placed("header.files[0]"):
                raise


def _blob(partial: PartialBlob) -> Blob:
    return Blob(partial.sha256, upload=partial.path.name)
