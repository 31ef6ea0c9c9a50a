"""Opens everything that a data directory holds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.answers.answer_store import AnswerStore
from heatproof.server.data_check import Inspection, inspect_stores
from heatproof.server.datasets.dataset_store import DatasetStore
from heatproof.server.evaluations.store.baseline_store import BaselineStore
from heatproof.server.evaluations.store.evaluation_store import EvaluationStore
from heatproof.server.models.model_store import ModelStore
from heatproof.server.models.run_size_store import RunSizeStore
from heatproof.server.settings import Settings
from heatproof.server.storage import database
from heatproof.server.storage.belonging import check_belonging, has_files, without_database
from heatproof.server.storage.blob_ownership import BlobOwnership
from heatproof.server.storage.blobs import BlobFolder
from heatproof.server.storage.reserve import Reserve

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a server.

    Attributes:
        ownership: blobs and the database.
        models: the models.
        datasets: the data sets.
        evaluations: the evaluations.
        baselines: the baselines that name some of them.
        run_sizes: how many batches the runs of models take.
        answers: answers of models that are kept; None if none are.
    """

    ownership: BlobOwnership
    models: ModelStore
    datasets: DatasetStore
    evaluations: EvaluationStore
    baselines: BaselineStore
    run_sizes: RunSizeStore
    answers: AnswerStore | None = None


@contextmanager
def opened_stores(settings: Settings) -> Iterator[Stores]:
    """Opens the stores for this process alone and clears away what a killed server left.

    Raises:
        FailedPreconditionError: another server uses them, another version wrote them, or the
            database is missing or of another data directory.
    """
    with ExitStack() as stack:
        with _explained(settings):
            stack.enter_context(database.locked(settings.data_dir))
            reserve = Reserve(settings.data_dir / "reserve", settings.reserve_bytes)
            reserve.make_room()
            engine = stack.enter_context(_own_database(settings))
            folder = BlobFolder(settings.data_dir)
            ownership = BlobOwnership(engine, folder, reserve, quota_bytes=settings.quota_bytes)
            ownership.sweep(keep_unknown=settings.adopt)
            reserve.fill()
        evaluations = EvaluationStore(ownership, max_unfinished=settings.max_queued_evaluations)
        answers = _opened_answers(settings)
        models, datasets = ModelStore(ownership, answers), DatasetStore(ownership)
        baselines, run_sizes = BaselineStore(ownership), RunSizeStore(engine)
        yield Stores(ownership, models, datasets, evaluations, baselines, run_sizes, answers)


def _opened_answers(settings: Settings) -> AnswerStore | None:
    """The answers that are kept; a server does its work without them too."""
    if not settings.answers_bytes:
        return None
    try:
        return AnswerStore(settings.answers_folder, settings.answers_bytes)
    except OSError as error:
        folder = str(settings.answers_folder)
        _log.warning("no answers are kept", folder=folder, error=error.strerror)
        return None


@contextmanager
def _own_database(settings: Settings) -> Iterator[Engine]:
    """The database of the data directory; none that knows nothing of its files."""
    data_dir, adopt = settings.data_dir, settings.adopt
    must_exist = has_files(data_dir) and not adopt
    with ExitStack() as stack:
        try:
            opened = database.opened(data_dir, settings.database_url, must_exist=must_exist)
            engine = stack.enter_context(opened)
        except database.MissingDatabaseError as error:
            raise without_database(data_dir, error.message) from error
        check_belonging(engine, data_dir, adopt=adopt)
        yield engine


def inspected(settings: Settings) -> Inspection:
    """Checks all files and rows; changes nothing.

    Raises:
        FailedPreconditionError: a server uses them, or they are no data directory.
    """
    data_dir = settings.data_dir
    if not data_dir.is_dir():
        raise FailedPreconditionError(f"there is no data directory {data_dir}; correct data_dir")
    with ExitStack() as stack:
        with _explained(settings):
            stack.enter_context(database.locked(data_dir))
            opened = database.opened(
                data_dir, settings.database_url, must_exist=True, read_only=True
            )
            engine = stack.enter_context(opened)
            folder, none = BlobFolder(data_dir), Reserve(data_dir / "reserve", 0)
        return inspect_stores(BlobOwnership(engine, folder, none, quota_bytes=settings.quota_bytes))


_RESTORE: Final = "restore it from a backup, or begin with an empty data directory"


@contextmanager
def _explained(settings: Settings) -> Iterator[None]:
    """Says in a sentence what keeps the stores from opening."""
    try:
        yield
    except OSError as error:
        raise FailedPreconditionError(
            f"cannot use the data directory {settings.data_dir}: {error.strerror or error}; choose "
            "a directory that this user may write"
        ) from error
    except ImportError as error:
        raise FailedPreconditionError(
            f"the driver of database_url is not installed: {error}; install it, or leave "
            "database_url out"
        ) from error
    except ArgumentError as error:
        raise FailedPreconditionError(
            "database_url is no SQLAlchemy URL of a known database; write for instance "
            "postgresql+psycopg://user@host/name, or leave it out"
        ) from error
    except SQLAlchemyError as error:
        place, way_out = f"{settings.data_dir}/{database.FILE}", _RESTORE
        if settings.database_url:
            place, way_out = "database_url", f"correct database_url, start its server, {_RESTORE}"
        raise FailedPreconditionError(
            f"cannot use the database of {place}: {_first_line(error)}; {way_out}"
        ) from error


def _first_line(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
