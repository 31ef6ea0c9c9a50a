"""The stored data sets."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from heatproof.evaluators.errors import NotFoundError
from heatproof.server.datasets.image_records import Record, image_of, is_labelled
from heatproof.server.resource_names import DatasetName
from heatproof.server.storage import pages
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.storage.blobs import PartialBlob
from heatproof.server.storage.schema import dataset_images, datasets, utc
from heatproof.server.workers.inputs import StoredImage


@dataclass(frozen=True, slots=True)
class StoredDataset:
    """A stored data set; fields as in the message `Dataset`."""

    name: str
    display_name: str
    create_time: datetime
    images: int
    labelled: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NewDataset:
    """A data set that has arrived.

    Attributes:
        name: resource name.
        display_name: name to show.
        size_bytes: bytes of all images.
        records: its images, in order.
        parts: the bytes of its images, masks and maps.
    """

    name: DatasetName
    display_name: str
    size_bytes: int
    records: Sequence[Record]
    parts: Sequence[tuple[str, PartialBlob]]


class DatasetStore:
    """The stored data sets. Blocking; called outside the event loop."""

    def __init__(self, ownership: BlobOwnership) -> None:
        self.ownership = ownership

    def add(self, new: NewDataset) -> StoredDataset:
        """Stores a data set; the first of equal ones wins, and what is damaged is repaired."""
        found = self.find(new.name)
        if found is not None:
            self.ownership.repair(new.parts)
            return found
        name, records = str(new.name), new.records
        with self.ownership.adding(name, new.parts) as connection:
            row = {
                "name": name,
                "display_name": new.display_name,
                "create_time": datetime.now(UTC),
                "images": len(records),
                "labelled": sum(map(is_labelled, records)),
                "size_bytes": new.size_bytes,
            }
            connection.execute(insert(datasets).values(row))
            rows = [
                {"dataset": name, "position": position, "record": record}
                for position, record in enumerate(records)
            ]
            connection.execute(insert(dataset_images), rows)
        return self.get(new.name)

    def find(self, name: DatasetName) -> StoredDataset | None:
        """Finds a data set, or None."""
        with self.ownership.engine.connect() as connection:
            query = select(datasets).where(datasets.c.name == str(name))
            row = connection.execute(query).one_or_none()
        return None if row is None else _stored(row)

    def get(self, name: DatasetName, *, field: str = "name") -> StoredDataset:
        """Finds a data set.

        Raises:
            NotFoundError: it is not stored.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"{name} is not stored; upload it with UploadDataset", field=field)
        return found

    def images(self, name: DatasetName, positions: Sequence[int]) -> tuple[StoredImage, ...]:
        """The images at some positions, in their order; their bytes stay in their files."""
        table = dataset_images
        query = (
            select(table.c.position, table.c.record)
            .where(table.c.dataset == str(name))
            .where(table.c.position.in_(positions))
        )
        with self.ownership.engine.connect() as connection:
            held = {row.position: row.record for row in connection.execute(query)}
        return tuple(image_of(held[position]) for position in positions)

    def all_images(self, name: DatasetName) -> Iterator[StoredImage]:
        """Every image, in order; their bytes stay in their files."""
        table = dataset_images
        query = (
            select(table.c.record).where(table.c.dataset == str(name)).order_by(table.c.position)
        )
        with self.ownership.engine.connect() as connection:
            for record in connection.execution_options(yield_per=1000).scalars(query):
                yield image_of(record)

    def page(
        self,
        request: pages.PageRequest,
        fits: Callable[[StoredDataset], bool] = pages.everything,
    ) -> pages.Page[StoredDataset]:
        """Lists data sets, newest first; a page ends before one that does not fit."""
        with self.ownership.engine.connect() as connection:

            def read(number: int) -> StoredDataset | None:
                query = select(datasets).where(datasets.c.number == number)
                row = connection.execute(query).one_or_none()
                return None if row is None else _stored(row)

            return pages.fetch(connection, datasets, request, read, fits)

    def delete(self, name: DatasetName) -> None:
        """Deletes a data set and the files that nothing else holds.

        Raises:
            NotFoundError: it is not stored.
            ResourceInUseError: an unfinished evaluation uses it.
        """
        self.get(name)

        def delete_rows(connection: Connection) -> None:
            images = delete(dataset_images).where(dataset_images.c.dataset == str(name))
            connection.execute(images)
            connection.execute(delete(datasets).where(datasets.c.name == str(name)))

        self.ownership.remove(str(name), delete_rows)


def _stored(row: Row[Any]) -> StoredDataset:
    return StoredDataset(
        row.name, row.display_name, utc(row.create_time), row.images, row.labelled, row.size_bytes
    )
