"""Opens everything that a data directory holds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from heatproof.evaluators.errors import FailedPreconditionError
from heatproof.server.settings import Settings
from heatproof.server.storage.reserve import Reserve
from heatproof.server.stores import database
from heatproof.server.stores.blobs import BlobFolder
from heatproof.server.stores.datasets import DatasetStore
from heatproof.server.stores.evaluations import EvaluationStore
from heatproof.server.stores.holdings import Holdings
from heatproof.server.stores.models import ModelStore


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a server.

    Attributes:
        holdings: blobs and the database.
        models: the models.
        datasets: the data sets.
        evaluations: the evaluations.
    """

    holdings: Holdings
    models: ModelStore
    datasets: DatasetStore
    evaluations: EvaluationStore


@contextmanager
def opened_stores(settings: Settings) -> Iterator[Stores]:
    """Opens the stores for this process alone and clears away what a killed server left.

    Raises:
        FailedPreconditionError: another server uses them, or another version wrote them.
    """
    with ExitStack() as stack:
        with _explained(settings):
            stack.enter_context(database.locked(settings.data_dir))
            url = settings.database_url
            engine = stack.enter_context(database.opened(settings.data_dir, url))
            folder = BlobFolder(settings.data_dir)
            reserve = Reserve(settings.data_dir / "reserve", settings.reserve_bytes)
            holdings = Holdings(engine, folder, reserve, quota_bytes=settings.quota_bytes)
            holdings.sweep()
            reserve.fill()
        evaluations = EvaluationStore(holdings, max_unfinished=settings.max_queued_evaluations)
        yield Stores(holdings, ModelStore(holdings), DatasetStore(holdings), evaluations)


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
        place = "database_url" if settings.database_url else f"{settings.data_dir}/{database.FILE}"
        raise FailedPreconditionError(
            f"cannot use the database of {place}: {_first_line(error)}; restore it from a backup, "
            "or begin with an empty data directory"
        ) from error


def _first_line(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return (str(cause).strip() or type(cause).__name__).splitlines()[0]
