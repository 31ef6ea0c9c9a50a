"""Tells whether a database is the one of its data directory: others know none of its files."""

import os
import uuid
from pathlib import Path

from sqlalchemy import Engine, exists, insert, select

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.storage.schema import blobs, identity


def has_files(data_dir: Path) -> bool:
    """Whether a data directory holds files of models or data sets."""
    return any((data_dir / "blobs").glob("*/*"))


def without_database(data_dir: Path, fault: str) -> FailedPreconditionError:
    """Refuses to begin anew beside files that a database knew."""
    files = sum(1 for _ in (data_dir / "blobs").glob("*/*"))
    return FailedPreconditionError(
        f"{fault}, but {data_dir} holds {files} files that belong to one; restore the database "
        f"from a backup, start with --adopt to move the files to {data_dir / 'unknown'} and begin "
        "anew, or empty the directory"
    )


def check_belonging(engine: Engine, data_dir: Path, *, adopt: bool) -> None:
    """Refuses a database of another data directory; marks both where neither is marked.

    Args:
        engine: the database.
        data_dir: the data directory.
        adopt: take the database whatever it belongs to.

    Raises:
        FailedPreconditionError: they do not belong together.
    """
    mark = data_dir / "identity"
    ours = mark.read_text().strip() if mark.exists() else ""
    with engine.begin() as connection:
        theirs = connection.scalar(select(identity.c.name)) or ""
        is_empty = not connection.scalar(select(exists().select_from(blobs)))
        is_fresh = is_empty and not has_files(data_dir)
        is_unmarked = not (theirs or ours or is_empty)
        if not (is_fresh or is_unmarked or adopt or (theirs and theirs == ours)):
            raise FailedPreconditionError(
                f"the database belongs to another data directory than {data_dir}; correct "
                "database_url or data_dir, restore the database from a backup, or start with "
                f"--adopt to use it and move files that it does not know to {data_dir / 'unknown'}"
            )
        name = theirs or ours or str(uuid.uuid4())
        if not theirs:
            connection.execute(insert(identity).values(name=name))
        if ours != name:
            _write(mark, name)


def _write(mark: Path, name: str) -> None:
    draft = mark.with_suffix(".new")
    with draft.open("w") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(mark)
