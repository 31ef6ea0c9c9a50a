"""Stores with a small model and data sets, and what they are made of."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.world import World, opened_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A data directory with one model, opened by this process."""
    with opened_world(tmp_path / "data") as world:
        yield world
