"""Tells whether stored files still hold the bytes that were uploaded."""

import hashlib
import re
from pathlib import Path
from threading import Lock
from typing import Final, TypeAlias

from heatproof.evaluators.errors import DamagedFileError

_DIGEST: Final = re.compile("[0-9a-f]{64}")
PLACES: Final = 2
"""Hexadecimal digits that name the folder of a blob."""

Identity: TypeAlias = tuple[int, int, int]
"""Inode, time of the last change in nanoseconds, size: another one may hold other bytes."""


def digest_named_by(path: Path) -> str | None:
    """The SHA-256 that the place of a file promises; None for files that are no blobs."""
    name = path.name
    is_blob = path.parent.name == name[:PLACES] and _DIGEST.fullmatch(name)
    return name if is_blob else None


def damaged(digest: str) -> DamagedFileError:
    """A blob that is missing or holds other bytes, with the way out."""
    return DamagedFileError(
        f"the stored file with SHA-256 {digest} is missing or damaged; upload the model or data "
        "set that holds it again, which repairs it",
        metadata={"sha256": digest},
    )


class Verifier:
    """Reads each blob once, and again when its file has changed. Safe in any thread."""

    def __init__(self) -> None:
        self._sound: dict[str, Identity] = {}
        self._lock = Lock()

    def is_sound(self, path: Path) -> bool:
        """Whether a blob is there and holds the bytes that its name promises."""
        digest = digest_named_by(path)
        if digest is None:
            message = f"{path} is no blob"
            raise ValueError(message)
        try:
            before = _identity(path)
            if self._sound.get(digest) == before:
                return True
            with path.open("rb") as file:
                is_sound = hashlib.file_digest(file, "sha256").hexdigest() == digest
        except FileNotFoundError:
            return False
        if is_sound:
            with self._lock:
                self._sound[digest] = before
        return is_sound

    def forget(self, digest: str) -> None:
        """Has a blob read again at its next use."""
        with self._lock:
            self._sound.pop(digest, None)

    def check(self, path: Path) -> None:
        """Refuses a damaged blob; files that are no blobs are left alone.

        Raises:
            DamagedFileError: it is missing or holds other bytes than were uploaded.
        """
        digest = digest_named_by(path)
        if digest is not None and not self.is_sound(path):
            raise damaged(digest)


def read_sound(path: Path) -> bytes:
    """Reads a file; a blob is checked each time, for its bytes are in memory anyway.

    Raises:
        DamagedFileError: a blob is missing or holds other bytes than were uploaded.
    """
    digest = digest_named_by(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if digest is None:
            raise
        raise damaged(digest) from None
    if digest is not None and hashlib.sha256(data).hexdigest() != digest:
        raise damaged(digest)
    return data


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
