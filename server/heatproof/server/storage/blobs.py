"""Files by their SHA-256, in a local folder; a file is there completely or not at all."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

import structlog

from heatproof.server.storage.failures import full, told
from heatproof.server.storage.integrity import PLACES, Verifier

_log = structlog.get_logger()

_SPARE_BYTES: Final = 1 << 20
"""Room that no upload takes: the rows that refer to it need some."""


def stored_at(data_dir: Path, digest: str) -> Path:
    """Where a data directory keeps a blob."""
    return data_dir / "blobs" / digest[:PLACES] / digest


def uploaded_at(data_dir: Path, upload: str) -> Path:
    """Where a data directory keeps the bytes of an upload that lasts."""
    return data_dir / "incoming" / upload


def scratch_at(data_dir: Path, name: str) -> Path:
    """Where the files of a request lie, by the name of their folder."""
    return data_dir / "scratch" / name


class PartialBlob:
    """Bytes on their way in: hashed as they are written, removed unless they are kept.

    Every method but `discard` raises StorageFullError or StorageFailedError when the disk does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._handle: int | None = None

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        with told():
            if self._handle is None:  # opened late: an upload may announce many files
                self._handle = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._handle, rest) :]
        self._digest.update(data)
        self.size_bytes += len(data)

    def finish(self) -> Self:
        """Brings the bytes to the disk; nothing can be appended afterwards."""
        if self._handle is not None:
            with told():
                # A failed fsync may have dropped the bytes: it is never tried again.
                os.fsync(self._handle)
            self._close()
        return self

    def discard(self) -> None:
        """Removes the bytes, unless they have been kept."""
        self._close()
        with suppress(OSError):  # swept at the next start
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            with told():
                os.close(handle)


class BlobFolder:
    """The folder of all blobs.

    Blocking; called outside the event loop. Every method raises StorageFullError or
    StorageFailedError when the disk does.
    """

    def __init__(self, root: Path) -> None:
        self._data_dir = root
        self._root = root / "blobs"
        self._incoming = root / "incoming"
        self._quarantine = root / "quarantine"
        self._scratch = root / "scratch"
        self._unknown = root / "unknown"
        self.verifier = Verifier()
        for folder in (self._root, self._incoming, self._scratch):
            _make(folder)

    def begin(self) -> PartialBlob:
        """Finds a place for incoming bytes."""
        return PartialBlob(self._incoming / secrets.token_hex(16))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for the files of one request."""
        with told():
            folder = Path(tempfile.mkdtemp(dir=self._scratch))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders that workers read."""
        return self._root, self._incoming, self._scratch

    @property
    def writable(self) -> tuple[Path, ...]:
        """The folders that workers write in."""
        return (self._scratch,)

    def path(self, digest: str) -> Path:
        """Where a blob lies."""
        return stored_at(self._data_dir, digest)

    def digests(self) -> Iterator[str]:
        """Digests of all blobs."""
        with told():
            yield from (path.name for path in self._root.glob("*/*"))

    def is_sound(self, digest: str) -> bool:
        """Whether a blob is there and holds the bytes that its digest promises."""
        with told():
            return self.verifier.is_sound(self.path(digest))

    def check_room(self, size_bytes: int) -> None:
        """Refuses bytes that the disk has no room for.

        Raises:
            StorageFullError: it would be full.
        """
        with told():
            free = shutil.disk_usage(self._root).free
        if size_bytes + _SPARE_BYTES > free:
            raise full()

    def keep(self, partials: Iterable[PartialBlob]) -> tuple[str, ...]:
        """Gives finished bytes their names, unless they are stored already and sound.

        Returns:
            digests of the blobs that were not there before; nothing is lost with them.
        """
        fresh: list[str] = []
        try:
            with told():
                folders = {self._kept(partial, fresh) for partial in partials}
                for folder in folders:
                    _sync(folder)
        except BaseException:
            self.drop(fresh)
            raise
        return tuple(fresh)

    def _kept(self, partial: PartialBlob, fresh: list[str]) -> Path:
        digest = partial.sha256
        path = self.path(digest)
        if self.verifier.is_sound(path):
            return path.parent
        if path.exists():
            self.quarantine(digest)
        else:
            fresh.append(digest)
        _make(path.parent)
        os.replace(partial.path, path)  # noqa: PTH105  # as fsync, of the same module
        self.verifier.forget(digest)
        return path.parent

    def quarantine(self, digest: str) -> None:
        """Moves a damaged blob aside, where nothing reads it; does nothing if there is none."""
        with told(), suppress(FileNotFoundError):
            _make(self._quarantine)
            os.replace(self.path(digest), self._quarantine / digest)  # noqa: PTH105  # as above
            _log.error("damaged file moved aside", sha256=digest, folder=str(self._quarantine))
        self.verifier.forget(digest)

    def quarantined(self) -> tuple[str, ...]:
        """Digests of the damaged blobs that were moved aside."""
        with told():
            return tuple(sorted(path.name for path in self._quarantine.glob("*")))

    def set_aside(self, digests: Sequence[str]) -> None:
        """Moves blobs to a folder of which nothing is deleted."""
        with told():
            for digest in digests:
                _make(self._unknown)
                os.replace(self.path(digest), self._unknown / digest)  # noqa: PTH105  # as above

    def leftovers(self) -> int:
        """Number of files of uploads that have not been stored."""
        with told():
            return sum(path.is_file() for path in self._incoming.rglob("*"))

    def drop(self, digests: Sequence[str]) -> None:
        """Removes blobs that no row holds; one that cannot be removed goes at the next start."""
        for digest in digests:
            self.verifier.forget(digest)
            try:
                self.path(digest).unlink(missing_ok=True)
                (self._quarantine / digest).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("cannot remove a file", sha256=digest, error=error.strerror)

    def sweep(self, is_known: Callable[[str], bool]) -> None:
        """Removes what a killed server left: incoming files, and blobs that nobody knows."""
        for folder in (self._incoming, self._scratch):
            shutil.rmtree(folder, ignore_errors=True)
            _make(folder)
        found = {*self.digests(), *self.quarantined()}
        self.drop([digest for digest in sorted(found) if not is_known(digest)])


def _make(folder: Path) -> None:
    """Makes a folder and brings its name to the disk."""
    with told():
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Brings new names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
