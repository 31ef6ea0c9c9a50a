"""Brings the tables of a database to the version that this server reads."""

from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.storage.schema import schema_version

_SCRIPTS: Final = "heatproof.server.storage:migrations"
_FIRST: Final = "0001"
_VERSION_0_1: Final = 1
"""What version 0.1 noted in its own table of versions."""


def upgrade_tables(connection: Connection) -> None:
    """Creates the tables, or changes those of an earlier version; all or, if it fails, nothing.

    Raises:
        FailedPreconditionError: a newer version of the server wrote them, or none that is known.
    """
    if connection.dialect.name == "sqlite":  # whose driver would commit each change of a table
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    config = _config(connection)
    current = _current(connection)
    if current != ScriptDirectory.from_config(config).get_current_head():
        if current is not None:
            command.stamp(config, current)
        command.upgrade(config, "head")


def check_version(connection: Connection) -> None:
    """Refuses tables that an upgrade would change, or that no upgrade can.

    Raises:
        FailedPreconditionError: names the version and the way out.
    """
    head = ScriptDirectory.from_config(_config(connection)).get_current_head()
    if (current := _current(connection)) != head:
        raise FailedPreconditionError(
            f"the database has the tables of an earlier version ({current or 'none'}, this server "
            f"reads {head}); start the server on it once, which migrates it, then check again"
        )


def _current(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in _scripts(connection).walk_revisions()}
    if current is None:
        return _counted_itself(connection)
    if current not in known:
        raise FailedPreconditionError(
            f"a newer version of Heatproof wrote the database (schema revision {current!r}; this "
            f"server knows up to {max(known)!r}); install that version, restore a backup from "
            "before its first start, or begin with an empty data directory"
        )
    return current


def _counted_itself(connection: Connection) -> str | None:
    """The revision of tables that Alembic has not made."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    found = connection.scalar(select(schema_version.c.version))
    if found in {None, _VERSION_0_1}:
        return None if found is None else _FIRST
    raise FailedPreconditionError(
        f"the database has schema version {found}, which this server cannot migrate: it knows "
        f"{_VERSION_0_1}, of version 0.1, and those after it; install the version that wrote it, "
        "or begin with an empty data directory"
    )


def _scripts(connection: Connection) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(connection))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    return config
