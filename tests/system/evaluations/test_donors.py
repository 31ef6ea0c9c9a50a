"""Other images of the data set reach the workers that need them."""

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square

DONOR = {"removals": [{"donor": {}}]}


def scores(images: object) -> dict[str, float]:
    return {image.image: image.scores[0].score.value for image in images}  # type: ignore[attr-defined]  # messages


def test_inline_and_stored_evaluations_draw_the_same_donors(served: Evaluating) -> None:
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(12)]
    request = pb.EvaluateRequest(spec=served.spec(dataset="", **DONOR), images=images[::-1])
    inline = served.stub.Evaluate(request, timeout=60)
    stored = served.images(served.create_and_end(served.spec(**DONOR)))

    found = scores(stored)
    assert found == scores(inline.image_results)
    assert found != scores(served.images(served.create_and_end(served.spec(seed=7, **DONOR))))


def test_one_image_alone_has_no_donor(served: Evaluating) -> None:
    images = [image_pb2.Image(encoded=square(0))]
    request = pb.EvaluateRequest(spec=served.spec(dataset="", **DONOR), images=images)
    (result,) = served.stub.Evaluate(request, timeout=60).image_results
    assert result.scores[0].score.undefined.reason == "NO_DONOR"


def test_pairs_are_the_same_inline_and_stored_and_are_the_units(served: Evaluating) -> None:
    """Concordance scores one image of each pair."""
    paired = {
        "metrics": [{"concordance": {"sizes": [112, 56]}}],
        "explainers": [],
        "removals": [{"black": {}}, {"layer": {}}],
    }
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(12)]
    request = pb.EvaluateRequest(spec=served.spec(dataset="", **paired), images=images[::-1])
    inline = served.stub.Evaluate(request, timeout=60)
    stored = served.images(served.create_and_end(served.spec(**paired)))

    found = {image.image: [str(score) for score in image.scores] for image in stored}
    assert found == {i.image: [str(score) for score in i.scores] for i in inline.image_results}
    for result in inline.evaluation.results:
        assert (result.summary.scored, result.summary.units) == (6, 6)
        assert result.summary.undefined == {"PAIRED": 6}
        assert set(result.parts) == {"change_at_112_of_224", "change_at_56_of_224"}
