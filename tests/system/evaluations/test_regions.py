"""Segments are found inside of the workers, by the library that the environment names."""

import re
from importlib.metadata import version

import pytest

from heatproof.client import Client, PartialAnnotationsWarning
from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square
from tests.system.refusals import refused


def request_of(
    served: Evaluating, regions: dict[str, object], **changes: object
) -> pb.EvaluateRequest:
    lime = {"regions": regions, "samples": 40, "removal": {"black": {}}}
    spec = served.spec(
        dataset="",
        explainers=[{"lime": lime}],
        metrics=[{"single_deletion_correlation": {"regions": regions}}],
        **changes,
    )
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(2)]
    return pb.EvaluateRequest(spec=spec, images=images)


@pytest.mark.parametrize(
    "regions",
    [
        {"grid": {"side": 4}},
        {"slic": {"segments": 16}},
        {"quickshift": {"kernel": 2.0, "distance": 20.0}},
    ],
)
def test_maps_and_scores_over_regions_see_the_only_place_that_matters(
    served: Evaluating, regions: dict[str, object]
) -> None:
    reply = served.stub.Evaluate(request_of(served, regions), timeout=60)
    for image in reply.image_results:
        # One region of those that matter ranks first, the others tie: above 0, and below 1.
        assert 0 < image.scores[0].score.value <= 1
    assert reply.evaluation.environment["scikit-image"] == version("scikit-image")
    way = rf"{served.sound}: plain [248] x \d+ x \d+"
    assert re.fullmatch(way, reply.evaluation.environment["ways_run"])


def test_segments_that_a_layer_masked_network_loses_are_refused_with_their_path(
    served: Evaluating,
) -> None:
    request = request_of(served, {"slic": {"segments": 16}}, removals=[{"layer": {}}])
    with refused() as refusal:
        served.stub.Evaluate(request, timeout=60)
    assert refusal.field == "spec.metrics[0].single_deletion_correlation.regions.slic.segments"
    assert "vanish inside the network: at most 4" in refusal.message


def test_boxes_that_come_with_images_are_regions(served: Evaluating) -> None:
    """The square of each image is one box, and removed alone it takes the class with it."""
    regions = {"boxes": {"side": 1}}
    request = request_of(served, regions)
    for seed, image in enumerate(request.images):
        row, column = 8 * (seed % 3), 8 * (seed % 2)
        corners = {"left": column, "top": row, "right": column + 8, "bottom": row + 8}
        image.boxes.add(frame="FRAME_SOURCE", **corners)
    request.images.add(encoded=square(2))
    *boxed, bare = served.stub.Evaluate(request, timeout=60).image_results
    assert [image.scores[0].score.value for image in boxed] == pytest.approx([1, 1])
    assert bare.scores[0].score.undefined.reason == "NO_OBJECT"
    for image in request.images:
        del image.boxes[:]
    with refused() as refusal:
        served.stub.Evaluate(request, timeout=60)
    assert refusal.field == "spec.metrics[0].single_deletion_correlation"
    assert "send boxes with the images" in refusal.message


def test_the_client_sends_boxes_and_says_where_nothing_reads_them(served: Evaluating) -> None:
    metric = {"single_deletion_correlation": {"regions": {"boxes": {"side": 1}}}}
    corners = [[[8 * (seed % 2), 8 * (seed % 3), 8 * (seed % 2) + 8, 8 * (seed % 3) + 8]]
               for seed in range(2)]  # fmt: skip
    with Client.connect(served.address) as client:

        def scores(metrics: list[object]) -> list[float]:
            report = client.evaluate(
                served.sound,
                [square(seed) for seed in range(2)],
                preprocessing={"resize": "none"},
                metrics=metrics,  # type: ignore[arg-type]  # tables
                explainers=["grad_cam"],
                removals=["black"],
                boxes=corners,
            )
            return [image.scores[0].score.value for image in report.images]

        assert scores([metric]) == pytest.approx([1, 1])
        with pytest.warns(PartialAnnotationsWarning, match="nothing splits images by their boxes"):
            scores([{"insertion": {"grid": 4, "steps": 4}}])
