"""Disks and databases that fail, or processes that die, at a call of the test's choice."""

import errno
import os
import signal
import sqlite3
import sqlite3.dbapi2
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from heatproof.server.storage import blobs

FULL, BROKEN = errno.ENOSPC, errno.EIO
_SQLITE_CODES = {FULL: sqlite3.SQLITE_FULL, BROKEN: sqlite3.SQLITE_IOERR}
_CHANGES = ("INSERT", "UPDATE", "DELETE")


@dataclass
class Faults:
    """Which call fails, and how.

    Attributes:
        number: error of the operating system.
        at: the call that fails, counted from 1; 0: none.
        lasting: whether every later one fails too.
        deadly: whether the process dies of SIGKILL in place of the call.
        calls: what was called so far.
    """

    number: int = FULL
    at: int = 0
    lasting: bool = False
    deadly: bool = False
    calls: list[str] = field(default_factory=list)

    @contextmanager
    def failing(self, at: int, number: int, *, lasting: bool = False) -> Iterator[None]:
        """Fails within the context."""
        self.at, self.number, self.lasting = at, number, lasting
        self.calls.clear()
        try:
            yield
        finally:
            self.at = 0

    def stop(self) -> None:
        """Mends the disk."""
        self.at = 0

    def has_struck(self, at: int) -> bool:
        """Whether the call has come that was to fail."""
        return len(self.calls) >= at

    def is_due(self, call: str) -> bool:
        """Counts a call, and says whether it fails."""
        if not self.at:
            return False
        self.calls.append(call)
        if self.deadly and len(self.calls) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        return len(self.calls) >= self.at if self.lasting else len(self.calls) == self.at

    def hit_disk(self, call: str) -> None:
        if self.is_due(call):
            raise OSError(self.number, os.strerror(self.number))

    def hit_database(self, call: str) -> None:
        if self.is_due(call):
            error = sqlite3.OperationalError("planted")
            error.sqlite_errorcode = _SQLITE_CODES[self.number]
            raise error


def install(faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
    """Has every write to the disk and the database ask whether it fails."""
    monkeypatch.setattr(blobs, "os", _FaultyOs(faults))
    for name in ("mkdir", "unlink"):
        monkeypatch.setattr(Path, name, _faulty(faults, name, getattr(Path, name)))

    class Cursor(sqlite3.Cursor):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            if sql.lstrip().startswith(_CHANGES):
                faults.hit_database(sql.split(maxsplit=1)[0])
            return super().execute(sql, *arguments)

        def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            faults.hit_database(sql.split(maxsplit=1)[0])
            return super().executemany(sql, *arguments)

    class Connection(sqlite3.Connection):
        def cursor(self, *_: Any) -> Any:
            return super().cursor(Cursor)

        def commit(self) -> None:
            if self.in_transaction:
                faults.hit_database("COMMIT")
            super().commit()

    connect = partial(sqlite3.connect, factory=Connection)
    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect)


def _faulty(faults: Faults, name: str, real: Any) -> Any:
    def call(*arguments: Any, **options: Any) -> Any:
        faults.hit_disk(name)
        return real(*arguments, **options)

    return call


class _FaultyOs:
    """The module `os` as the blob store sees it."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name in {"open", "write", "fsync", "replace", "close"}:
            return _faulty(self._faults, name, real)
        return real
