"""Who holds which blobs: bytes enter with their owner, and leave with the last one."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, exists, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from heatproof.evaluators.errors import HeatproofError, LimitExceededError, ResourceInUseError
from heatproof.server.storage.blobs import BlobFolder, PartialBlob
from heatproof.server.storage.reserve import Reserve
from heatproof.server.storage.schema import blobs, claims, files


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

    def __init__(self, ownership: "BlobOwnership") -> None:
        self._ownership = ownership
        self.size_bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Reserves more.

        Raises:
            LimitExceededError: it does not fit into the quota.
            StorageFullError: it does not fit onto the disk.
        """
        self._ownership.reserve(size_bytes)
        self.size_bytes += size_bytes


class BlobOwnership:
    """The blobs of all models and data sets. Blocking; called outside the event loop."""

    def __init__(
        self, engine: Engine, folder: BlobFolder, spare: Reserve, *, quota_bytes: int
    ) -> None:
        self.engine = engine
        self.folder = folder
        self.spare = spare
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
        self.folder.check_room(size_bytes)
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
        """Keeps blobs under their owner in one transaction with what the caller inserts.

        The blobs are on the disk before a row refers to them; without the rows they go again.
        """
        digests = self._looked_at(parts)
        with self._exchange:
            fresh = self.folder.keep(partial for _, partial in parts)
            try:
                with self.engine.begin() as connection:
                    for position, (location, partial) in enumerate(parts):
                        _hold(connection, partial)
                        row = {"owner": owner, "position": position, "location": location}
                        connection.execute(insert(files).values(**row, digest=digests[position]))
                    yield connection
            except BaseException:
                self._drop_unknown(fresh)
                raise

    def repair(self, parts: Sequence[tuple[str, PartialBlob]]) -> None:
        """Puts bytes that have come again in the place of those that are missing or damaged."""
        self._looked_at(parts)
        known = self._known([partial.sha256 for _, partial in parts])
        with self._exchange:
            self.folder.keep(partial for _, partial in parts if partial.sha256 in known)

    def _looked_at(self, parts: Sequence[tuple[str, PartialBlob]]) -> list[str]:
        """Digests of incoming bytes, after a look at what lies there already.

        Reading it takes its time, for which nobody else must wait.
        """
        digests = [partial.sha256 for _, partial in parts]
        for digest in digests:
            self.folder.is_sound(digest)
        return digests

    def _drop_unknown(self, digests: Sequence[str]) -> None:
        """Removes blobs whose rows were not written; if nobody knows, the next start does."""
        with suppress(SQLAlchemyError, HeatproofError):
            known = self._known(digests)
            self.folder.drop([digest for digest in digests if digest not in known])

    def _known(self, digests: Sequence[str]) -> set[str]:
        with self.engine.connect() as connection:
            return {
                digest
                for digest in digests
                if connection.scalar(select(exists().where(blobs.c.digest == digest)))
            }

    def remove(self, owner: str, delete_rows: Callable[[Connection], None]) -> None:
        """Lets go of an owner's blobs in one transaction with what `delete_rows` deletes.

        On a full disk the reserve makes room for it.

        Raises:
            ResourceInUseError: an unfinished evaluation uses the owner.
        """

        def commit() -> list[str]:
            with self.engine.begin() as connection:
                _refuse_if_claimed(connection, owner)
                connection.execute(delete(files).where(files.c.owner == owner))
                unheld = ~exists().where(files.c.digest == blobs.c.digest)
                orphans = list(connection.scalars(select(blobs.c.digest).where(unheld)))
                connection.execute(delete(blobs).where(unheld))
                delete_rows(connection)
                return orphans

        with self._exchange:
            self.folder.drop(self.spare.urgent(commit))
        self.spare.fill()

    def is_damaged(self, owner: str) -> bool:
        """Whether a blob of an owner is missing or damaged; what is damaged is moved aside."""
        return sum(self.quarantine_if_damaged(file.sha256) for file in self.files(owner)) > 0

    def quarantine_if_damaged(self, digest: str) -> bool:
        """Moves a blob aside that does not hold what it promises; True if it is of no use."""
        if self.folder.is_sound(digest):
            return False
        with self._exchange:
            if self.folder.is_sound(digest):  # repaired meanwhile
                return False
            self.folder.quarantine(digest)
        return True

    def knows(self, digest: str) -> bool:
        """Whether a model or data set holds a blob."""
        return bool(self._known([digest]))

    def files(self, owner: str) -> tuple[StoredFile, ...]:
        """The files of an owner, in order."""
        with self.engine.connect() as connection:
            return files_of(connection, owner)

    def path(self, digest: str) -> Path:
        """Where a blob lies."""
        return self.folder.path(digest)

    def sweep(self, *, keep_unknown: bool = False) -> None:
        """Removes what a killed server left half done; `keep_unknown` moves it aside instead."""
        with self.engine.connect() as connection:
            known = set(connection.scalars(select(blobs.c.digest)))
        if keep_unknown:
            self.folder.set_aside([one for one in self.folder.digests() if one not in known])
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


def files_of(connection: Connection, owner: str) -> tuple[StoredFile, ...]:
    """The files of an owner, in order."""
    query = (
        select(files.c.location, blobs.c.size_bytes, blobs.c.digest)
        .join(blobs, blobs.c.digest == files.c.digest)
        .where(files.c.owner == owner)
        .order_by(files.c.position)
    )
    return tuple(StoredFile(*row) for row in connection.execute(query))
