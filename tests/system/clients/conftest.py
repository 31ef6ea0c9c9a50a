from collections.abc import Iterator

import pytest

from tests.system.evaluations.colour_server import Evaluating, evaluating


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluating]:
    """One server with a sound and a crippled network and twelve images."""
    with evaluating(tmp_path_factory.mktemp("evaluations")) as served:
        yield served
