from collections.abc import Iterator

import pytest

from heatproof.client import Client
from tests.system.evaluations.colour_server import Evaluating, evaluating
from tests.system.serving import serving, settings_for


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluating]:
    """One server with a sound and a crippled network and twelve images."""
    with evaluating(tmp_path_factory.mktemp("comparison")) as served:
        yield served


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server that tests fill with networks of their own."""
    with (
        serving(settings_for(tmp_path_factory.mktemp("networks"))) as served,
        Client.connect(served.address) as client,
    ):
        yield client
