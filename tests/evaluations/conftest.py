import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "durability"))
sys.path.append(str(Path(__file__).parents[1] / "server"))

from colour_server import Evaluating, evaluating  # found through the lines above


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluating]:
    """One server with a sound and a crippled network and twelve images."""
    with evaluating(tmp_path_factory.mktemp("evaluations")) as served:
        yield served
