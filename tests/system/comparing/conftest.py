from collections.abc import Iterator

import pytest

from heatproof.client import Client
from tests.system.serving import serving, settings_for


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a server that these tests fill with networks."""
    with (
        serving(settings_for(tmp_path_factory.mktemp("comparing"))) as served,
        Client.connect(served.address) as client,
    ):
        yield client
