"""One server for each database, wherever it lies."""

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import structlog
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from heatproof.evaluators.errors import FailedPreconditionError, HeatproofError
from heatproof.server.storage.failures import failed

_log = structlog.get_logger()

_WATCH_SECONDS: Final = 1.0
_KEY: Final = text("SELECT pg_try_advisory_lock(hashtext('heatproof ' || current_schema()))")
"""Advisory locks are the database's own; servers in different schemas do not meet."""
_RELEASE: Final = text("SELECT pg_advisory_unlock_all()")

_HOLDER: Final = (
    text("CREATE TABLE IF NOT EXISTS holder (token VARCHAR(32) NOT NULL)"),
    text("DELETE FROM holder"),
    text("INSERT INTO holder VALUES (:token)"),
)
_LAST_HOLDER: Final = text("SELECT token FROM holder")


@contextmanager
def locked_database(engine: Engine) -> Iterator[None]:
    """Holds a database for this server; the lock ends with the process.

    Raises:
        FailedPreconditionError: another server holds it, or its kind cannot be held.
    """
    match engine.dialect.name:
        case "sqlite":
            with _locked_file(engine):
                yield
        case "postgresql":
            with _AdvisoryLock(engine):
                yield
        case other:
            raise FailedPreconditionError(
                f"database_url names a database of {other}; write the URL of a SQLite file or of "
                "PostgreSQL, or leave it out"
            )


def _taken() -> FailedPreconditionError:
    return FailedPreconditionError(
        "another server uses the database; stop it or choose another database"
    )


@contextmanager
def _locked_file(engine: Engine) -> Iterator[None]:
    """Locks the file itself, by which it is the same under every name and link."""
    path = _file_of(engine)
    if not path:  # in memory
        yield
        return
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        with engine.connect():  # says it in the words of the database
            raise
    try:
        # Another kind of lock than SQLite's own, which take no notice of it.
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken() from error
        yield
    finally:
        engine.dispose()  # closing any handle of the file lets go of all that SQLite has locked
        os.close(handle)


def _file_of(engine: Engine) -> str:
    """Path of the database, "" if it lies in memory."""
    path = engine.url.database or ""
    if not path.startswith("file:"):
        return "" if path == ":memory:" else path
    with engine.connect() as connection:  # SQLite reads its own URIs best
        return str(connection.execute(text("PRAGMA database_list")).all()[0][2])


def _give_up() -> None:
    """Ends the process at once: nothing that it knows may be stored any more."""
    _log.critical(
        "another server has used the database while the connection was lost; this one ends, start "
        "it again"
    )
    os._exit(2)


class _AdvisoryLock:
    """A lock of a PostgreSQL session that does nothing else, and a watch on that session.

    While it is lost, every transaction is refused. A server that gets it back goes on only if no
    other one has held it meanwhile: it would know nothing of what that one has done.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._is_held = False
        self._token = secrets.token_hex(16)
        self._ending = threading.Event()
        self._watch = threading.Thread(target=self._keep, name="database lock", daemon=True)

    def __enter__(self) -> None:
        connection = self._take()
        if connection is None:
            self._drop()
            raise _taken()
        self._sign(connection)
        event.listen(self._engine, "begin", self._refuse_unless_held)
        self._watch.start()

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._watch.join()
        event.remove(self._engine, "begin", self._refuse_unless_held)
        self._release()
        self._drop()

    def _release(self) -> None:
        """Lets go before the connection closes: PostgreSQL ends a session when it gets to it."""
        if self._is_held and self._connection is not None:
            with suppress(SQLAlchemyError, HeatproofError):
                self._connection.execute(_RELEASE)

    def _refuse_unless_held(self, connection: Connection) -> None:
        if not self._is_held and connection is not self._connection:
            raise failed("the database is not held by this server")

    def _take(self) -> Connection | None:
        # Not of the pool, and each statement for itself: no transaction stays open for days.
        raw = self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()
        self._connection = raw  # which the fence lets pass
        raw.detach()
        return raw if raw.scalar(_KEY) else None

    def _sign(self, connection: Connection) -> None:
        """Notes in the database who holds it."""
        for statement in _HOLDER:
            connection.execute(statement, {"token": self._token})
        self._is_held = True

    def _take_again(self) -> None:
        """Takes the lock back, unless somebody else has; ends the process if somebody had."""
        self._drop()
        connection = self._take()
        if connection is None:
            return
        self._is_held = connection.scalar(_LAST_HOLDER) == self._token
        if self._is_held:
            _log.info("holds the lock of the database again")
        else:
            _give_up()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, HeatproofError):
                connection.close()

    def _keep(self) -> None:
        while not self._ending.wait(_WATCH_SECONDS):
            try:
                if self._is_held and self._connection is not None:
                    self._connection.execute(text("SELECT 1"))
                else:
                    self._take_again()
            except (SQLAlchemyError, HeatproofError) as error:
                if self._is_held:
                    _log.error("lost the lock of the database", error=str(error))
                self._is_held = False
                self._drop()
