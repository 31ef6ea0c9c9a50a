"""Files by their SHA-256, in a local folder; a file is there completely or not at all."""

import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

_PLACES = 2  # hexadecimal digits that name the folder of a blob


class PartialBlob:
    """Bytes on their way in: hashed as they are written, removed unless they are kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._digest = hashlib.sha256()
        self._file: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        """Digest of the bytes so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Appends bytes."""
        if self._file is None:  # opened as late as possible: an upload may announce many files
            self._file = self.path.open("xb")
        self._file.write(data)
        self._digest.update(data)
        self.size_bytes += len(data)

    def finish(self) -> Self:
        """Brings the bytes to the disk; nothing can be appended afterwards."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        return self

    def discard(self) -> None:
        """Removes the bytes, unless they have been kept."""
        if self._file is not None:
            self._file.close()
        self.path.unlink(missing_ok=True)


class BlobFolder:
    """The folder of all blobs.

    Blocking; called outside the event loop.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs"
        self._incoming = root / "incoming"
        for folder in (self._root, self._incoming):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def begin(self) -> PartialBlob:
        """Finds a place for incoming bytes."""
        return PartialBlob(self._incoming / secrets.token_hex(16))

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for the files of one request."""
        folder = Path(tempfile.mkdtemp(dir=self._incoming))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def path(self, digest: str) -> Path:
        """Where a blob lies."""
        return self._root / digest[:_PLACES] / digest

    def keep(self, partials: Iterable[PartialBlob]) -> None:
        """Gives finished bytes their names, unless they are stored already."""
        paths = [self._kept(partial) for partial in partials]
        for folder in {path.parent for path in paths}:
            _sync(folder)

    def _kept(self, partial: PartialBlob) -> Path:
        path = self.path(partial.sha256)
        if not path.exists():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            partial.path.replace(path)
        return path

    def remove(self, digest: str) -> None:
        """Removes a blob; does nothing if there is none."""
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, is_known: Callable[[str], bool]) -> None:
        """Removes what a killed server left: incoming files, and blobs that nobody knows."""
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(mode=0o700)
        for path in self._root.glob("*/*"):
            if not is_known(path.name):
                path.unlink()


def _sync(folder: Path) -> None:
    """Brings a new name in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
