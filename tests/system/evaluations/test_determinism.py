"""Equal specs give bit-equal scores, whatever runs them."""

from pathlib import Path

import pytest

from tests.system.evaluations.colour_server import Evaluating, evaluating


def scores(served: Evaluating, name: str) -> list[bytes]:
    served.end(name)
    return [image.SerializeToString(deterministic=True) for image in served.images(name)]


@pytest.mark.parametrize(("workers", "threads"), [(1, 1), (1, 2), (2, 1)])
def test_scores_do_not_depend_on_workers_and_threads(
    served: Evaluating, tmp_path: Path, workers: int, threads: int
) -> None:
    expected = scores(served, served.create(served.spec()))

    with evaluating(tmp_path, workers=workers, threads=threads) as other:
        found = scores(other, other.create(other.spec()))

    assert len(found) == 12
    assert found == expected


def test_scores_do_not_depend_on_what_else_is_evaluated(served: Evaluating) -> None:
    expected = scores(served, served.create(served.spec()))

    both = [served.create(served.spec()), served.create(served.spec(served.crippled))]

    assert scores(served, both[0]) == expected
    assert scores(served, both[1]) != expected


def test_another_seed_gives_other_random_maps(served: Evaluating) -> None:
    random = {"explainers": [{"random": {"grid": 4}}]}
    first = scores(served, served.create(served.spec(seed=3, **random)))

    assert scores(served, served.create(served.spec(seed=4, **random))) != first
