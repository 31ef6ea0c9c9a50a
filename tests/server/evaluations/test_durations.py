"""How long evaluations will take, from what others have taken."""

from dataclasses import replace

import pytest

from heatproof.server.evaluations.durations import expected_seconds
from heatproof.server.evaluations.store.records import Experience
from tests.server.world import small_spec

SPEC = small_spec("models/sha256-m", "datasets/sha256-d")
OTHER = replace(SPEC, removals=SPEC.removals[:1])
SPECS = {
    b"same": replace(SPEC, dataset="datasets/sha256-e", seed=9, units=2, no_cache=True),
    b"other": OTHER,
}


def seconds(*held: Experience, images: int = 10, predictions: int = 1000) -> float | None:
    return expected_seconds(SPEC, images, predictions, held, SPECS.__getitem__)


def test_equal_work_is_told_by_its_images() -> None:
    other = Experience(b"other", images=100, predictions=10, seconds=1000.0)
    same = [Experience(b"same", 2, 50, 3.0), Experience(b"same", 4, 50, 3.0)]
    assert seconds(*same, other) == pytest.approx(10.0)


def test_other_work_is_told_by_its_predictions() -> None:
    others = [Experience(b"other", 1, 150, 1.0), Experience(b"other", 1, 50, 1.0)]
    assert seconds(*others) == pytest.approx(10.0)


@pytest.mark.parametrize(
    "held", [(), (Experience(b"other", 1, 0, 2.0),), (Experience(b"same", 3, 9, 0.0),)]
)
def test_nothing_is_told_of_what_took_no_time(held: tuple[Experience, ...]) -> None:
    assert seconds(*held) is None
