"""Who holds which blobs: bytes enter with their owner, and leave with the last one."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select

from heatproof.evaluators.errors import LimitExceededError, ResourceInUseError
from heatproof.server.stores.blobs import BlobFolder, PartialBlob
from heatproof.server.stores.schema import blobs, claims, files


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a model or data set.

    Attributes:
        location: what its owner calls it.
        size_bytes: size.
        sha256: digest.
    """

    location: str
    size_bytes: int
    sha256: str


class Reservation:
    """Room in the store for bytes that are on their way in."""

    def __init__(self, holdings: "Holdings") -> None:
        self._holdings = holdings
        self.size_bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Reserves more.

        Raises:
            LimitExceededError: it does not fit into the quota.
        """
        self._holdings.reserve(size_bytes)
        self.size_bytes += size_bytes


class Holdings:
    """The blobs of all models and data sets. Blocking; called outside the event loop."""

    def __init__(self, engine: Engine, folder: BlobFolder, *, quota_bytes: int) -> None:
        self.engine = engine
        self.folder = folder
        self._quota_bytes = quota_bytes
        self._incoming_bytes = 0
        # A blob may not be removed between the look whether it is there and the row that holds it.
        self._exchange = threading.Lock()
        self._count = threading.Lock()

    @contextmanager
    def reservation(self) -> Iterator["Reservation"]:
        """Opens a reservation of room for incoming bytes, which ends with the context."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            with self._count:
                self._incoming_bytes -= reservation.size_bytes

    def reserve(self, size_bytes: int) -> None:
        """Counts incoming bytes, see `Reservation.grow`."""
        with self._count:
            free = self._quota_bytes - self._incoming_bytes - self.stored_bytes()
            if size_bytes > free:
                raise LimitExceededError(
                    f"{size_bytes} bytes do not fit: {max(free, 0)} of the store's quota of "
                    f"{self._quota_bytes} bytes are free; delete models or data sets"
                )
            self._incoming_bytes += size_bytes

    def stored_bytes(self) -> int:
        """Bytes of all blobs."""
        with self.engine.connect() as connection:
            return connection.scalar(select(func.coalesce(func.sum(blobs.c.size_bytes), 0))) or 0

    @contextmanager
    def adding(self, owner: str, parts: Sequence[tuple[str, PartialBlob]]) -> Iterator[Connection]:
        """Keeps blobs under their owner in one transaction with what the caller inserts."""
        with self._exchange, self.engine.begin() as connection:
            self.folder.keep(partial for _, partial in parts)
            for position, (location, partial) in enumerate(parts):
                _hold(connection, partial)
                row = {"owner": owner, "position": position, "location": location}
                connection.execute(insert(files).values(**row, digest=partial.sha256))
            yield connection

    @contextmanager
    def removing(self, owner: str) -> Iterator[Connection]:
        """Lets go of an owner's blobs in one transaction with what the caller deletes.

        Raises:
            ResourceInUseError: an unfinished evaluation uses the owner.
        """
        with self._exchange:
            with self.engine.begin() as connection:
                _refuse_if_claimed(connection, owner)
                connection.execute(delete(files).where(files.c.owner == owner))
                unheld = ~exists().where(files.c.digest == blobs.c.digest)
                orphans = list(connection.scalars(select(blobs.c.digest).where(unheld)))
                connection.execute(delete(blobs).where(unheld))
                yield connection
            for digest in orphans:
                self.folder.remove(digest)

    def files(self, owner: str) -> tuple[StoredFile, ...]:
        """The files of an owner, in order."""
        query = (
            select(files.c.location, blobs.c.size_bytes, blobs.c.digest)
            .join(blobs, blobs.c.digest == files.c.digest)
            .where(files.c.owner == owner)
            .order_by(files.c.position)
        )
        with self.engine.connect() as connection:
            return tuple(StoredFile(*row) for row in connection.execute(query))

    def path(self, digest: str) -> Path:
        """Where a blob lies."""
        return self.folder.path(digest)

    def sweep(self) -> None:
        """Removes what a killed server left half done."""
        with self.engine.connect() as connection:
            known = set(connection.scalars(select(blobs.c.digest)))
        self.folder.sweep(known.__contains__)


def _hold(connection: Connection, partial: PartialBlob) -> None:
    if not connection.scalar(select(exists().where(blobs.c.digest == partial.sha256))):
        row = {"digest": partial.sha256, "size_bytes": partial.size_bytes}
        connection.execute(insert(blobs).values(row))


def _refuse_if_claimed(connection: Connection, owner: str) -> None:
    holder = connection.scalar(select(claims.c.evaluation).where(claims.c.resource == owner))
    if holder is not None:
        raise ResourceInUseError(
            f"{owner} is used by {holder}, which has not ended; cancel or await it first",
            metadata={"resource": owner, "evaluation": holder},
        )
