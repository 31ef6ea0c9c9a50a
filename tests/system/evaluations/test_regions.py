"""Segments are found inside of the workers, by the library that the environment names."""

from importlib.metadata import version

import pytest

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


def test_segments_that_a_layer_masked_network_loses_are_refused_with_their_path(
    served: Evaluating,
) -> None:
    request = request_of(served, {"slic": {"segments": 16}}, removals=[{"layer": {}}])
    with refused() as refusal:
        served.stub.Evaluate(request, timeout=60)
    assert refusal.field == "spec.metrics[0].single_deletion_correlation.regions.slic.segments"
    assert "vanish inside the network: at most 4" in refusal.message
