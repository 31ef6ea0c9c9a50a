"""The stored models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from heatproof.evaluators.errors import NotFoundError
from heatproof.server.answers.answer_store import AnswerStore
from heatproof.server.models.run_size_store import forget_run_sizes
from heatproof.server.resource_names import ModelName
from heatproof.server.storage import pages
from heatproof.server.storage.blob_ownership import BlobOwnership, StoredFile, files_of
from heatproof.server.storage.blobs import PartialBlob
from heatproof.server.storage.schema import models, utc
from heatproof.server.workers.inputs import Blob, ModelFiles


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A stored model.

    Attributes:
        name: resource name.
        display_name: name to show, of the first upload.
        create_time: time of the first upload.
        files: its files, the model file first.
        facts: serialised `ModelFacts` message.
    """

    name: str
    display_name: str
    create_time: datetime
    files: tuple[StoredFile, ...]
    facts: bytes


class ModelStore:
    """The stored models. Blocking; called outside the event loop.

    What is known of their answers is deleted with them.
    """

    def __init__(self, ownership: BlobOwnership, answers: AnswerStore | None = None) -> None:
        self.ownership = ownership
        self._answers = answers

    def add(
        self,
        name: ModelName,
        display_name: str,
        parts: Sequence[tuple[str, PartialBlob]],
        facts: bytes,
    ) -> StoredModel:
        """Stores a model with its files by location, the model file first.

        The first one wins; what is damaged of it is repaired.
        """
        found = self.find(name)
        if found is not None:
            self.ownership.repair(parts)
            return found
        with self.ownership.adding(str(name), parts) as connection:
            row = {"name": str(name), "display_name": display_name, "facts": facts}
            connection.execute(insert(models).values(**row, create_time=datetime.now(UTC)))
        return self.get(name)

    def find(self, name: ModelName) -> StoredModel | None:
        """Finds a model, or None."""
        with self.ownership.engine.connect() as connection:
            query = select(models).where(models.c.name == str(name))
            row = connection.execute(query).one_or_none()
            return None if row is None else _stored(row, files_of(connection, row.name))

    def find_sound(self, name: ModelName) -> StoredModel | None:
        """Finds a model whose files are all there and undamaged, or None."""
        found = self.find(name)
        return None if found is None or self.ownership.is_damaged(str(name)) else found

    def get(self, name: ModelName, *, field: str = "name") -> StoredModel:
        """Finds a model.

        Raises:
            NotFoundError: it is not stored.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError(f"{name} is not stored; upload it with UploadModel", field=field)
        return found

    def files(self, name: ModelName, *, field: str = "name") -> ModelFiles:
        """Names the files of a model.

        Raises:
            NotFoundError: it is not stored.
        """
        files = self.get(name, field=field).files
        model, *external = files
        return ModelFiles(
            str(name),
            Blob(model.sha256),
            {file.location: Blob(file.sha256) for file in external},
            sum(file.size_bytes for file in files),
        )

    def page(
        self, request: pages.PageRequest, fits: Callable[[StoredModel], bool] = pages.everything
    ) -> pages.Page[StoredModel]:
        """Lists models, newest first; a page ends before one that does not fit."""
        with self.ownership.engine.connect() as connection:

            def read(number: int) -> StoredModel | None:
                query = select(models).where(models.c.number == number)
                row = connection.execute(query).one_or_none()
                return None if row is None else _stored(row, files_of(connection, row.name))

            return pages.fetch(connection, models, request, read, fits)

    def delete(self, name: ModelName) -> None:
        """Deletes a model and the files that nothing else holds.

        Raises:
            NotFoundError: it is not stored.
            ResourceInUseError: an unfinished evaluation uses it.
        """
        self.get(name)

        def delete_rows(connection: Connection) -> None:
            forget_run_sizes(connection, str(name))
            connection.execute(delete(models).where(models.c.name == str(name)))

        self.ownership.remove(str(name), delete_rows)
        if self._answers is not None:
            self._answers.forget(str(name))


def _stored(row: Row[Any], files: tuple[StoredFile, ...]) -> StoredModel:
    return StoredModel(row.name, row.display_name, utc(row.create_time), files, row.facts)
