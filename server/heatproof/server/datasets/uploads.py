"""Takes a data set in: images are received, decoded by a worker in passing, and stored together."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from heatproof.evaluators.errors import InvalidArgumentError, LimitExceededError
from heatproof.server.datasets.dataset_store import DatasetStore, NewDataset, StoredDataset
from heatproof.server.datasets.image_groups import GroupCheck
from heatproof.server.datasets.image_records import Record, record_of
from heatproof.server.resource_names import DatasetName
from heatproof.server.storage.blob_ownership import Reservation
from heatproof.server.storage.blobs import PartialBlob
from heatproof.server.workers.inputs import (
    ArraySource,
    Blob,
    Content,
    EncodedSource,
    FramedSource,
    StoredImage,
    received,
)
from heatproof.server.workers.limits import Limits
from heatproof.server.workers.protocol import Workers
from heatproof.server.workers.tasks import CheckImages

_BATCH: Final = 32
"""Images that a worker decodes in one task: other tasks get their turn in between."""

S = TypeVar("S", ArraySource, EncodedSource, ArraySource | EncodedSource)


class DatasetUploads:
    """Takes data sets in."""

    def __init__(self, store: DatasetStore, workers: Workers, limits: Limits) -> None:
        self._store = store
        self._workers = workers
        self._limits = limits

    async def take(self, display_name: str, images: AsyncIterator[StoredImage]) -> StoredDataset:
        """Stores a data set; one with the same content is found again.

        Raises:
            InvalidArgumentError: there is no image, or one cannot be decoded.
            LimitExceededError: there are too many images or bytes.
        """
        with ExitStack() as stack:
            room = stack.enter_context(self._store.ownership.reservation())
            intake = _Intake(self._store, room, stack)
            async for image in images:
                self._check_count(len(intake.records))
                await asyncio.to_thread(intake.add, image)
                self._check_bytes(room.size_bytes, len(intake.records) - 1)
                if len(intake.pending) == _BATCH:
                    await self._check_pending(intake)
            await self._check_pending(intake)
            return await asyncio.to_thread(self._store.add, intake.dataset(display_name))

    async def _check_pending(self, intake: "_Intake") -> None:
        """Has a worker decode the images that none has seen yet."""
        if intake.pending:
            first = len(intake.records) - len(intake.pending)
            await self._workers.call(CheckImages(tuple(intake.pending), first))
            intake.pending.clear()

    def _check_count(self, index: int) -> None:
        if index >= self._limits.max_dataset_images:
            raise LimitExceededError(
                f"the data set has more than {self._limits.max_dataset_images} images, this "
                "server's most; split it",
                field=f"images[{index}]",
            )

    def _check_bytes(self, size_bytes: int, index: int) -> None:
        if size_bytes > self._limits.max_dataset_bytes:
            raise LimitExceededError(
                f"the data set has more than {self._limits.max_dataset_bytes} bytes, this "
                "server's most; split it",
                field=f"images[{index}]",
            )


@dataclass(slots=True)
class _Intake:
    """The images that have arrived; their files are removed unless the store keeps them."""

    store: DatasetStore
    room: Reservation
    stack: ExitStack
    records: list[Record] = field(default_factory=list)
    parts: list[tuple[str, PartialBlob]] = field(default_factory=list)
    pending: list[StoredImage] = field(default_factory=list)
    groups: GroupCheck = field(default_factory=GroupCheck)
    image_bytes: int = 0

    def add(self, image: StoredImage) -> None:
        """Writes the bytes of an image to files."""
        index = len(self.records)
        self.groups.add(index, image)

        def written(source: S, location: str) -> S:
            partial = self._written(source.content, f"{index}/{location}")
            return replace(source, content=Blob(partial.sha256, upload=partial.path.name))

        def framed(item: FramedSource, location: str) -> FramedSource:
            return replace(item, source=written(item.source, location))

        stored = replace(
            image,
            pixels=written(image.pixels, "pixels"),
            object_mask=image.object_mask and framed(image.object_mask, "object_mask"),
            attribution_maps={
                name: framed(item, f"attribution_maps/{name}")
                for name, item in image.attribution_maps.items()
            },
            replacement=image.replacement and framed(image.replacement, "replacement"),
        )
        self.image_bytes += len(received(image.pixels.content))
        self.records.append(record_of(stored))
        self.pending.append(stored)

    def _written(self, content: Content, location: str) -> PartialBlob:
        data = received(content)
        self.room.grow(len(data))
        partial = self.store.ownership.folder.begin()
        self.stack.callback(partial.discard)
        partial.write(data)
        self.parts.append((location, partial.finish()))
        return partial

    def dataset(self, display_name: str) -> NewDataset:
        """What has arrived, under the name that its content gives it.

        Raises:
            InvalidArgumentError: nothing has arrived.
        """
        if not self.records:
            raise InvalidArgumentError(
                "the data set has no image; send at least one after the header", field="image"
            )
        name = DatasetName.of_images(map(_content_digest, self.records))
        return NewDataset(name, display_name, self.image_bytes, self.records, self.parts)


def _content_digest(record: Record) -> str:
    """Digest of an image with all that is known of it, its name to show included.

    Else the reports of whoever uploads the same images later would name them as others do.
    """
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
