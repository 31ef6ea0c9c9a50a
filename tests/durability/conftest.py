"""Stores with a small model and data sets, and what they are made of."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from world import World, opened_world  # found through the line above


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A data directory with one model, opened by this process."""
    with opened_world(tmp_path / "data") as world:
        yield world
