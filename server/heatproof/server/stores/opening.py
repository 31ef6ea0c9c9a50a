"""Opens everything that a data directory holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from heatproof.server.settings import Settings
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
    with (
        database.locked(settings.data_dir),
        database.opened(settings.data_dir, settings.database_url) as engine,
    ):
        folder = BlobFolder(settings.data_dir)
        holdings = Holdings(engine, folder, quota_bytes=settings.quota_bytes)
        holdings.sweep()
        evaluations = EvaluationStore(holdings, max_unfinished=settings.max_queued_evaluations)
        yield Stores(holdings, ModelStore(holdings), DatasetStore(holdings), evaluations)
