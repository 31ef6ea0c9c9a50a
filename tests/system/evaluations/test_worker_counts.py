"""What reads several models or other images scores alike however many workers share the images."""

from pathlib import Path
from typing import Any

from tests.system.evaluations.colour_server import evaluating

IMAGES = 36
"""Two shards."""

CHANGES: dict[str, Any] = {
    "metrics": [
        {"inter_model_deletion": {"grid": 2, "steps": 2, "orders": 10}},
        {"explanation_consistency": {"background": "BACKGROUND_SHARED", "steps": 2, "controls": 1}},
        {"segment_removal": {"regions": {"grid": {"side": 2}}, "fractions": 2}},
        {"concordance": {"sizes": [112]}},
    ],
    "explainers": [{"grad_cam": {}}],
    "removals": [{"donor": {}}, {"black": {}}],
}


def evaluated(folder: Path, workers: int) -> tuple[Any, list[Any]]:
    """Results over the data set, and those of every image."""
    with evaluating(folder, images=IMAGES, workers=workers) as served:
        spec = served.spec(served.sound, served.crippled, **CHANGES)
        name = served.create(spec)
        return served.end(name), served.images(name)


def serialized(messages: Any) -> list[bytes]:
    return [message.SerializeToString(deterministic=True) for message in messages]


def test_panels_and_donors_score_alike_on_one_and_on_four_workers(tmp_path: Path) -> None:
    one, images_of_one = evaluated(tmp_path / "one", workers=1)
    four, images_of_four = evaluated(tmp_path / "four", workers=4)

    assert len(images_of_one) == IMAGES
    assert serialized(images_of_four) == serialized(images_of_one)
    assert serialized(four.results) == serialized(one.results)
    metrics = {result.metric.WhichOneof("metric") for result in one.results}
    assert metrics == {next(iter(metric)) for metric in CHANGES["metrics"]}
    for metric in metrics:  # each has scores that could differ
        scored = [r for r in one.results if r.metric.WhichOneof("metric") == metric]
        assert any(result.summary.scored for result in scored), scored
