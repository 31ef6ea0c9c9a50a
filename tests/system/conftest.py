from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from heatproof.v1 import model_pb2
from tests.system.payloads import model_bytes, upload
from tests.system.serving import Served, serving, settings_for


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all tests that leave it as they find it."""
    with serving(settings_for(tmp_path_factory.mktemp("server"))) as served:
        yield served


@pytest.fixture
def served_with(tmp_path: Path) -> Callable[..., AbstractContextManager[Served]]:
    """Starts a server of the test's own, with other settings."""

    def start(**changes: Any) -> AbstractContextManager[Served]:
        return serving(settings_for(tmp_path / "data", **changes))

    return start


@pytest.fixture(scope="session")
def model(served: Served) -> model_pb2.Model:
    """A stored model."""
    stored = served.models.UploadModel(iter(upload(model_bytes(), name="tiny")))
    assert isinstance(stored, model_pb2.Model)
    return stored
