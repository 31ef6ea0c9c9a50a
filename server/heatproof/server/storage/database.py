"""Opens the database of a data directory, for one server process at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine, create_engine, event, inspect
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from heatproof.evaluators.errors import FailedPreconditionError, HeatproofError
from heatproof.server.storage.failures import failed, of_database_error
from heatproof.server.storage.locks import locked_database
from heatproof.server.storage.schema import schema_version
from heatproof.server.storage.upgrading import check_version, upgrade_tables

_log = structlog.get_logger()

FILE: Final = "heatproof.sqlite"

_BUSY_MILLISECONDS: Final = 10_000
"""What a statement waits for another program that has locked the file."""


class MissingDatabaseError(FailedPreconditionError):
    """There is no database where there must be one."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Holds the data directory for this process; the lock ends with the process.

    Raises:
        FailedPreconditionError: another process holds it.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if data_dir.stat().st_mode & 0o077:  # it was there already: models are nobody else's business
        data_dir.chmod(0o700)
    with (data_dir / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FailedPreconditionError(
                f"another server uses the data directory {data_dir}; stop it or choose another "
                "directory"
            ) from error
        with suppress(OSError):  # a full disk, which the server must start on to be emptied
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
        yield


@contextmanager
def opened(
    data_dir: Path, url: str = "", *, must_exist: bool = False, read_only: bool = False
) -> Iterator[Engine]:
    """Opens the database for this server alone; its tables are made or brought up to date.

    Args:
        data_dir: folder of the SQLite file.
        url: another database, such as PostgreSQL's; "" for the file.
        must_exist: refuse a database without tables rather than create them.
        read_only: refuse tables of an earlier version rather than change them.

    Raises:
        FailedPreconditionError: another server uses it, it has the tables of a version that this
            server cannot migrate, or none where it must have some.
    """
    engine = create_engine(url or f"sqlite:///{data_dir / FILE}", pool_pre_ping=bool(url))
    file = engine.url.database if engine.dialect.name == "sqlite" else None
    if must_exist and file and not file.startswith((":", "file:")) and not Path(file).exists():
        raise _missing(file)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
    try:
        with locked_database(engine):
            with engine.begin() as connection:
                if must_exist and not inspect(connection).has_table(schema_version.name):
                    raise _missing(file or "of database_url")
            with engine.begin() as connection:
                check_version(connection) if read_only else upgrade_tables(connection)
            event.listen(engine, "handle_error", _told, retval=True)
            yield engine
    finally:
        engine.dispose()


def _missing(place: str) -> MissingDatabaseError:
    return MissingDatabaseError(f"the database {place} is missing or empty")


def _configure_sqlite(connection: DBAPIConnection, _: object) -> None:
    cursor = connection.cursor()
    # What is acknowledged survives a power cut: each commit reaches the disk.
    # The patience comes first: the others wait for a locked file too.
    patience = f"busy_timeout={_BUSY_MILLISECONDS}"
    for pragma in (patience, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _told(context: ExceptionContext) -> HeatproofError | None:
    """An error of the tree where the database is full, busy or failing; None: as it was raised."""
    original = context.original_exception
    known = of_database_error(original)
    if known is None and isinstance(context.sqlalchemy_exception, DBAPIError):
        known = failed("connection lost") if context.is_disconnect else None
    if known is not None:
        _log.error("database fails", error=str(original))
    return known
