"""Turns failures of disks and databases into errors of the tree."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from heatproof.evaluators.errors import (
    HeatproofError,
    OverloadedError,
    StorageFailedError,
    StorageFullError,
)

_log = structlog.get_logger()

_FULL: Final = {errno.ENOSPC, errno.EDQUOT}
_BROKEN: Final = {
    errno.EIO,
    errno.EROFS,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.EMFILE,
    errno.ENFILE,
    errno.ETIMEDOUT,
}

_SQLITE_PRIMARY: Final = 0xFF
_SQLITE_FULL: Final = {sqlite3.SQLITE_FULL}
_SQLITE_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_BROKEN: Final = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
}
_POSTGRES_FULL: Final = ("53100",)
_POSTGRES_BUSY: Final = ("40001", "40P01", "55P03", "53300")
_POSTGRES_BROKEN: Final = ("08", "25006", "53", "57P", "58", "XX")

_RETRY_SECONDS: Final = "5"


def full() -> StorageFullError:
    """A disk without room, with the way out."""
    return StorageFullError(
        "the storage of the server is full; delete models, data sets or evaluations, or have its "
        "operator make room"
    )


def failed(fault: str) -> StorageFailedError:
    """A disk or database that cannot be read or written; `fault` says how, in plain words."""
    return StorageFailedError(
        f"the storage of the server fails ({fault}); try again later, and if it goes on have its "
        "operator look at the disk and the database"
    )


def busy() -> OverloadedError:
    """A database that others keep locked."""
    return OverloadedError(
        "the database of the server is locked by another program; try again",
        metadata={"retry_delay_seconds": _RETRY_SECONDS},
    )


def of_os_error(error: OSError) -> HeatproofError | None:
    """A full or failing disk as an error of the tree; None for anything else."""
    if error.errno in _FULL:
        return full()
    if error.errno in _BROKEN:
        return failed((error.strerror or "input/output error").lower())
    return None


@contextmanager
def told() -> Iterator[None]:
    """Raises what a full or failing disk does to the work inside as an error of the tree."""
    try:
        yield
    except OSError as error:
        known = of_os_error(error)
        if known is None:
            raise
        _log.error("storage fails", error=str(error))
        raise known from error


def of_database_error(error: BaseException) -> HeatproofError | None:
    """What a driver raises as an error of the tree; None for what is a defect of a query."""
    if isinstance(error, sqlite3.Error):
        return _of_sqlite(getattr(error, "sqlite_errorcode", 0) & _SQLITE_PRIMARY)
    state: Any = getattr(error, "sqlstate", None)
    return _of_postgres(state) if isinstance(state, str) else None


def _of_sqlite(code: int) -> HeatproofError | None:
    if code in _SQLITE_FULL:
        return full()
    if code in _SQLITE_BUSY:
        return busy()
    return failed("the database file cannot be used") if code in _SQLITE_BROKEN else None


def _of_postgres(state: str) -> HeatproofError | None:
    if state.startswith(_POSTGRES_FULL):
        return full()
    if state.startswith(_POSTGRES_BUSY):
        return busy()
    return failed("the database cannot be used") if state.startswith(_POSTGRES_BROKEN) else None
