"""Room that is given up when a disk is full, so that deleting still works."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

import structlog

from heatproof.evaluators.errors import StorageFullError

_log = structlog.get_logger()

T = TypeVar("T")

_SHARE: Final = 1 / 8
"""Of the free room, that the reserve takes at most."""
_SHARE_AGAIN: Final = 3 / 4
"""Likewise, of what its use has left."""
_LEAST_BYTES: Final = 1 << 18
_OPENING_BYTES: Final = 1 << 20
"""SQLite opens its log and an index of it, even to read."""


class Reserve:
    """A file that holds nothing. Blocking; called outside the event loop.

    A database writes before it deletes. On a full disk the file is removed to make room for what
    frees more room, or ends work; it is written again once there is ample room.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes
        self._lock = Lock()

    def fill(self) -> None:
        """Takes the room, as far as it is there."""
        self._fill(_SHARE)

    def make_room(self) -> None:
        """Gives the reserve up if the disk is so full that no database could be opened on it."""
        if shutil.disk_usage(self._path.parent).free < _OPENING_BYTES:
            self._release()

    def urgent(self, work: Callable[[], T]) -> T:
        """Does a small piece of work; on a full disk once more, in the room of the reserve.

        Raises:
            StorageFullError: the reserve has been used, or does not suffice.
        """
        try:
            return work()
        except StorageFullError:
            if not self._release():
                raise
            try:
                return work()
            finally:
                self._fill(_SHARE_AGAIN)

    def _fill(self, share: float) -> None:
        with self._lock:
            try:
                free = shutil.disk_usage(self._path.parent).free
                size = min(self._size_bytes, int(share * free))
                if size >= _LEAST_BYTES and self._held() < size // 2:
                    self._allocate(size)
            except OSError as error:
                _log.warning("no reserve for a full disk", error=error.strerror)
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def _held(self) -> int:
        return self._path.stat().st_size if self._path.exists() else 0

    def _allocate(self, size: int) -> None:
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):  # Linux
                os.posix_fallocate(handle, 0, size)
            else:
                os.write(handle, bytes(size))
        finally:
            os.close(handle)

    def _release(self) -> bool:
        """Gives the room up; False if there is none left."""
        with self._lock:
            size = self._held()
            if size:
                self._path.unlink()
        if size:
            _log.warning("disk is full: using the reserve", size_bytes=size)
        return size > 0
