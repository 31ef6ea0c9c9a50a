"""Metrics of the place of an object, of mosaics, of a set and of a map alone, over a socket."""

from typing import Any

import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square
from tests.system.payloads import dataset
from tests.system.refusals import refused

OBJECTS: dict[str, dict[str, Any]] = {
    "pointing_game": {"tolerance": 0.0},
    "attribution_localization": {},
    "relevance_mass_accuracy": {},
    "energy_pointing_game": {},
    "relevance_rank_accuracy": {},
    "top_k_intersection": {"k": 64},
    "concept_influence": {"k": 64},
    "localization_auc": {"summary": "SUMMARY_PRECISION"},
    "effective_heat_ratio": {},
    "box_iou": {},
}
ALONE: dict[str, dict[str, Any]] = {
    "sparseness": {},
    "complexity": {"relative": True},
    "effective_complexity": {},
    "mean_activation": {},
    "mst_c": {"quantile": 0.5},
}
SETS: dict[str, dict[str, Any]] = {
    "focus": {},
    "dasgupta_consistency": {"grid": 2},
    "dasgupta_sufficiency": {"grid": 2},
}
IMAGES = 36
"""More than a shard."""


def image(seed: int, *, label: bool = True, boxed: bool = True) -> image_pb2.Image:
    """A square of 8 x 8 pixels in a box of its own."""
    row, column = 8.0 * (seed % 3), 8.0 * (seed % 2)
    box = image_pb2.Box(
        frame="FRAME_SOURCE", left=column, top=row, right=column + 8, bottom=row + 8
    )
    return image_pb2.Image(
        encoded=square(seed), label=seed % 3 if label else None, boxes=[box] if boxed else []
    )


def spec_of(served: Evaluating, *metrics: dict[str, dict[str, Any]], **changes: Any) -> Any:
    asked = [{name: given} for group in metrics for name, given in group.items()]
    return served.spec(
        metrics=asked,
        removals=[],
        explainers=[{"integrated_gradients": {"steps": 2}}],
        **changes,
    )


def scores(images: Any) -> dict[str, list[str]]:
    return {one.image: [str(score) for score in one.scores] for one in images}


def test_boxes_are_objects_of_every_comparison(served: Evaluating) -> None:
    request = pb.EvaluateRequest(
        spec=spec_of(served, OBJECTS, ALONE, dataset=""),
        images=[image(0), image(1, boxed=False)],
    )
    boxed, bare = served.stub.Evaluate(request, timeout=60).image_results
    found = dict(zip((*OBJECTS, *ALONE), boxed.scores, strict=True))
    for name in ("attribution_localization", "relevance_mass_accuracy", "energy_pointing_game"):
        assert found[name].score.value == found["attribution_localization"].score.value
        assert found[name].parts["chance"].value == 64 / 1024
    assert found["concept_influence"].score.value == pytest.approx(
        found["top_k_intersection"].score.value * 16
    )
    assert found["box_iou"].parts["localized"].value == (found["box_iou"].score.value >= 0.5)
    for name, score in zip(OBJECTS, bare.scores, strict=False):
        assert score.score.undefined.reason == "NO_OBJECT", name
    assert len(boxed.object_mask) == 64
    assert bare.object_mask == ""


def test_mosaics_and_sets_depend_on_the_images_and_not_on_order_or_shards(
    served: Evaluating,
) -> None:
    images = [image(seed) for seed in range(IMAGES)]
    runs = []
    for ordered in (images, images[::-1]):
        name = served.datasets.UploadDataset(dataset(*ordered), timeout=60).name
        made = served.create_and_end(spec_of(served, SETS, dataset=name))
        evaluation = served.stub.GetEvaluation(pb.GetEvaluationRequest(name=made), timeout=60)
        runs.append((evaluation, scores(served.images(made))))
    (one, ahead), (other, behind) = runs
    assert ahead == behind
    for mine, theirs in zip(one.results, other.results, strict=True):
        assert mine.summary.value == pytest.approx(theirs.summary.value, abs=1e-12)
        assert mine.summary.scored == theirs.summary.scored
    mosaics, *sets = one.results
    assert set(mosaics.summary.undefined) <= {"DEGENERATE"}  # some maps have no positive value
    assert mosaics.summary.scored + sum(mosaics.summary.undefined.values()) == IMAGES
    assert mosaics.parts["chance"].value == 0.5
    for found in sets:
        assert found.summary.HasField("value")
        assert not found.summary.HasField("interval")
        assert not found.summary.HasField("standard_error")


def test_what_images_lack_for_mosaics_is_a_status_or_refused(served: Evaluating) -> None:
    asked = spec_of(served, {"focus": {}}, dataset="")
    images = [*(image(seed) for seed in (0, 3, 1, 2)), image(4, label=False)]
    reply = served.stub.Evaluate(pb.EvaluateRequest(spec=asked, images=images), timeout=60)
    reasons = [one.scores[0].score.undefined.reason for one in reply.image_results]
    assert reasons == ["", "", "NO_DONOR", "NO_DONOR", "NO_LABEL"]
    with refused() as refusal:
        bare = [image(seed, label=False) for seed in range(3)]
        served.stub.Evaluate(pb.EvaluateRequest(spec=asked, images=bare), timeout=60)
    assert refusal.field == "spec.metrics[0].focus"


@pytest.mark.parametrize(
    ("metric", "parameters", "field"),
    [
        ("top_k_intersection", {"k": 1025}, "top_k_intersection.k"),
        ("concept_influence", {"k": -1}, "concept_influence.k"),
        ("effective_heat_ratio", {"thresholds": [0.5, 1.5]}, "effective_heat_ratio.thresholds[1]"),
        ("box_iou", {"threshold": 1.0}, "box_iou.threshold"),
        ("dasgupta_consistency", {"grid": 33}, "dasgupta_consistency.grid"),
        ("dasgupta_sufficiency", {"grid": 17}, "dasgupta_sufficiency.grid"),
        ("dasgupta_sufficiency", {"near": 1.0}, "dasgupta_sufficiency.near"),
        ("effective_complexity", {"eps": 1.0}, "effective_complexity.eps"),
        ("mst_c", {"neighbors": 101}, "mst_c.neighbors"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(
    served: Evaluating, metric: str, parameters: dict[str, Any], field: str
) -> None:
    asked = spec_of(served, {metric: parameters}, dataset="")
    with refused() as refusal:
        served.stub.Evaluate(pb.EvaluateRequest(spec=asked, images=[image(0)]), timeout=60)
    assert refusal.field == f"spec.metrics[0].{field}"
