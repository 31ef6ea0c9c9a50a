"""Every name over the curve engine, and the axioms, asked of a server."""

from typing import Any

import pytest

from heatproof.v1 import evaluation_service_pb2 as pb
from heatproof.v1 import image_pb2
from tests.system.evaluations.colour_server import Evaluating, square
from tests.system.refusals import refused

GRID: dict[str, Any] = {"regions": {"grid": {"side": 4}}}
STEPPED = {**GRID, "steps": 16}
CURVES: dict[str, dict[str, Any]] = {
    "insertion": {"grid": 4, "steps": 16},
    "deletion": {"grid": 4, "steps": 16},
    "lerf_deletion": STEPPED,
    "morf_deletion": STEPPED,
    "pixel_flipping": STEPPED,
    "selectivity": {},
    "srg": STEPPED,
    "abpc": STEPPED,
    "irof": GRID,
    "region_perturbation": {"cells": 16},
    "comprehensiveness": {**GRID, "shares": [0.25, 0.5]},
    "sufficiency": {**GRID, "shares": [0.25, 0.5]},
    "road_morf": {**GRID, "shares": [0.25, 0.5]},
    "road_lerf": {**GRID, "shares": [0.25, 0.5]},
    "road_combined": {**GRID, "shares": [0.25, 0.5]},
    "monotonicity": STEPPED,
    "minimal_subset": STEPPED,
}
IMAGES = 2
GRADIENTS = 4


def request_of(
    served: Evaluating, metrics: dict[str, dict[str, Any]], **changes: object
) -> pb.EvaluateRequest:
    spec = served.spec(
        dataset="",
        explainers=[{"integrated_gradients": {"steps": GRADIENTS}}],
        metrics=[{name: parameters} for name, parameters in metrics.items()],
        **{"removals": [{"grey": {}}], **changes},
    )
    images = [image_pb2.Image(encoded=square(seed)) for seed in range(IMAGES)]
    return pb.EvaluateRequest(spec=spec, images=images)


@pytest.mark.parametrize("removal", ["grey", "linear_imputation", "layer"])
def test_every_name_over_one_grid_costs_two_curves(served: Evaluating, removal: str) -> None:
    request = request_of(served, CURVES, removals=[{removal: {}}])
    reply = served.stub.Evaluate(request, timeout=120)
    # clean, empty, and 15 points of each curve between them; patches of 8 are the grid
    assert reply.evaluation.progress.predictions_done == IMAGES * (2 + 2 * 15 + GRADIENTS)
    for image in reply.image_results:
        found = dict(zip(CURVES, (score.score.value for score in image.scores), strict=True))
        insertion, deletion = found["insertion"], found["deletion"]
        assert found["lerf_deletion"] == insertion
        assert found["srg"] == found["abpc"] == insertion - deletion
        for same in ("morf_deletion", "pixel_flipping", "selectivity"):
            assert found[same] == deletion
        assert found["road_combined"] == (found["road_lerf"] - found["road_morf"]) / 2
        assert 0 < found["minimal_subset"] <= 1
    (irof,) = (result for result in reply.evaluation.results if result.metric.HasField("irof"))
    clean, area = (irof.parts[name].value for name in ("clean", "area"))
    assert irof.summary.value == pytest.approx((clean - area) / clean)
    assert irof.metric.irof.regions.grid.side == 4


def test_axioms_are_asked_of_explainers_that_make_maps_anew(served: Evaluating) -> None:
    metrics: dict[str, dict[str, Any]] = {"completeness": {}, "input_invariance": {}}
    reply = served.stub.Evaluate(request_of(served, metrics, removals=[{"black": {}}]), timeout=120)
    complete, invariant = reply.evaluation.results
    assert invariant.metric.input_invariance.shift == -1
    assert complete.metric.completeness.tolerance == 0.05
    # the network is linear where pixels are not negative, so that four steps are enough
    assert complete.summary.value == pytest.approx(0, abs=1e-4)
    assert complete.parts["complete"].value == 1
    assert invariant.summary.value > 0.1  # from black, the map hangs on where 0 lies
    assert invariant.parts["invariant"].value == 0


@pytest.mark.parametrize(
    ("metric", "parameters", "field"),
    [
        ("pixel_flipping", {"steps": 1001}, "pixel_flipping.steps"),
        ("morf_deletion", {**GRID, "steps": 17}, "morf_deletion.steps"),
        ("selectivity", {"steps": 17}, "selectivity.steps"),
        ("region_perturbation", {}, "region_perturbation.cells"),
        ("srg", {"until": 1.5}, "srg.until"),
        ("irof", {"regions": {"slic": {"segments": 65}}}, "irof.regions.slic.segments"),
        ("comprehensiveness", {"shares": [0.5, 0.1]}, "comprehensiveness.shares"),
        ("road_morf", {"shares": [0.5, 1.5]}, "road_morf.shares[1]"),
        ("minimal_subset", {"loss": 1.0}, "minimal_subset.loss"),
        ("deletion", {"grid": 4, "regions": {"pixels": {}}}, "deletion.grid"),
        ("completeness", {"tolerance": -1.0}, "completeness.tolerance"),
        ("input_invariance", {"shift": 0.0}, "input_invariance.shift"),
    ],
)
def test_what_does_not_fit_is_refused_at_its_place(
    served: Evaluating, metric: str, parameters: dict[str, Any], field: str
) -> None:
    removals = [] if metric == "input_invariance" else [{"grey": {}}]
    with refused() as refusal:
        served.stub.Evaluate(
            request_of(served, {metric: parameters}, removals=removals), timeout=60
        )
    assert refusal.field == f"spec.metrics[0].{field}"


@pytest.mark.parametrize("metric", ["pixel_flipping", "road_lerf"])
def test_single_pixels_are_refused_inside_the_network(served: Evaluating, metric: str) -> None:
    with refused() as refusal:
        served.stub.Evaluate(request_of(served, {metric: {}}, removals=[{"layer": {}}]), timeout=60)
    assert refusal.field == f"spec.metrics[0].{metric}.regions.pixels"
    assert "choose patches" in refusal.message
