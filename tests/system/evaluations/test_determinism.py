"""Equal specs give bit-equal scores, whatever runs them."""

from pathlib import Path
from typing import Any

import pytest

from tests.system.evaluations.colour_server import Evaluating, evaluating

TWO_SHARDS = 36
"""Images."""

PANELS_AND_DONORS: dict[str, Any] = {
    "metrics": [
        {"inter_model_deletion": {"grid": 2, "steps": 2, "orders": 10}},
        {"explanation_consistency": {"background": "BACKGROUND_SHARED", "steps": 2, "controls": 1}},
        {"segment_removal": {"regions": {"grid": {"side": 2}}, "fractions": 2}},
        {"concordance": {"sizes": [112]}},
    ],
    "explainers": [{"grad_cam": {}}],
    "removals": [{"donor": {}}, {"black": {}}],
}


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


def evaluated(folder: Path, workers: int) -> tuple[Any, list[Any]]:
    """Results over the data set, and those of every image."""
    with evaluating(folder, images=TWO_SHARDS, workers=workers) as served:
        spec = served.spec(served.sound, served.crippled, **PANELS_AND_DONORS)
        name = served.create(spec)
        return served.end(name), served.images(name)


def serialized(messages: Any) -> list[bytes]:
    return [message.SerializeToString(deterministic=True) for message in messages]


def test_panels_and_donors_score_alike_on_one_and_on_four_workers(tmp_path: Path) -> None:
    one, images_of_one = evaluated(tmp_path / "one", workers=1)
    four, images_of_four = evaluated(tmp_path / "four", workers=4)

    assert len(images_of_one) == TWO_SHARDS
    assert serialized(images_of_four) == serialized(images_of_one)
    assert serialized(four.results) == serialized(one.results)
    metrics = {result.metric.WhichOneof("metric") for result in one.results}
    assert metrics == {next(iter(metric)) for metric in PANELS_AND_DONORS["metrics"]}
    for metric in metrics:  # each has scores that could differ
        scored = [r for r in one.results if r.metric.WhichOneof("metric") == metric]
        assert any(result.summary.scored for result in scored), scored
