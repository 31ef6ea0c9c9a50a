"""Metrics that are one number or one set of queries, in one evaluation."""

from collections.abc import Sequence

import numpy as np
import pytest

from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.explainers import Explainer, Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import (
    Abpc,
    Comprehensiveness,
    Deletion,
    Insertion,
    Irof,
    LerfDeletion,
    Metric,
    MinimalSubset,
    Monotonicity,
    MorfDeletion,
    PixelFlipping,
    RoadCombined,
    RoadLerf,
    RoadMorf,
    Selectivity,
    Srg,
    Sufficiency,
)
from heatproof.evaluators.outcomes import Score
from heatproof.evaluators.regions import Grid, Patches, Slic
from heatproof.evaluators.removal import Black, Blur, Layer, LinearImputation, RemovalOperator
from tests.evaluators.toys import SIDE, linear

WEIGHTS = np.random.default_rng(11).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
STEPS = 7
GRID = Grid(4)
SEGMENTS = Slic(segments=9, compactness=100.0)


def source(seed: int) -> SourceImage:
    drawn = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return SourceImage(f"{seed:064x}", f"{seed}.png", drawn)


def spec_of(
    metrics: Sequence[Metric],
    removal: RemovalOperator,
    explainer: Explainer,
) -> EvaluationSpec:
    return EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=tuple(metrics),
        explainers=(explainer,),
        removals=(removal,),
    )


def evaluated(
    metrics: Sequence[Metric],
    removal: RemovalOperator,
    explainer: Explainer = Random(4),  # noqa: B008  # a frozen value
) -> tuple[dict[str, Score], int]:
    """Scores by name, and the rows that were computed."""
    seen: list[Progress] = []
    spec = spec_of(metrics, removal, explainer)
    (result,) = evaluate(spec, [source(0)], {"models/toy": linear(WEIGHTS)}, seen.append)
    scores = [score.score for score in result.scores]
    named = zip((key.metric.name for key in result_keys(spec)), scores, strict=True)
    return dict(named), seen[-1].predictions_done


CURVES: tuple[Metric, ...] = (
    Insertion(4, STEPS),
    Deletion(4, STEPS),
    LerfDeletion(regions=GRID, steps=STEPS),
    MorfDeletion(regions=GRID, steps=STEPS),
    Srg(regions=GRID, steps=STEPS),
    Abpc(regions=GRID, steps=STEPS),
    Monotonicity(regions=GRID, steps=STEPS),
    MinimalSubset(regions=GRID, steps=STEPS),
    PixelFlipping(GRID, steps=STEPS),
    Selectivity(GRID, steps=STEPS),
)


@pytest.mark.parametrize("removal", [Black(), Blur(sigma=2.0), Layer(), LinearImputation()])
def test_all_curves_of_one_grid_are_two_sets_of_queries(removal: RemovalOperator) -> None:
    found, rows = evaluated(CURVES, removal)
    # the clean image, the empty one, and the points of both curves between them
    assert rows == 2 + 2 * (STEPS - 1)
    pair, of_pair = evaluated((Insertion(4, STEPS), Deletion(4, STEPS)), removal)
    assert of_pair == rows
    assert {name: found[name] for name in pair} == pair
    insertion, deletion = found["insertion"], found["deletion"]
    assert isinstance(insertion, float)
    assert isinstance(deletion, float)
    assert found["lerf_deletion"] == insertion
    assert found["morf_deletion"] == found["pixel_flipping"] == found["selectivity"] == deletion
    assert found["srg"] == found["abpc"] == insertion - deletion


def test_selectivity_is_deletion_on_its_grid() -> None:
    found, rows = evaluated((Selectivity(Patches(8)), Deletion(4, 16)), Black())
    assert found["selectivity"] == found["deletion"]
    assert rows == 2 + 15


@pytest.mark.parametrize("removal", [Black(), LinearImputation()])
def test_the_road_metrics_share_their_queries(removal: RemovalOperator) -> None:
    shares = (0.1, 0.5, 0.9)
    metrics = (
        RoadCombined(shares=shares),
        RoadMorf(shares=shares),
        RoadLerf(shares=shares),
    )
    found, rows = evaluated(metrics, removal)
    assert rows == 1 + 2 * len(shares)
    morf, lerf = found["road_morf"], found["road_lerf"]
    assert isinstance(morf, float)
    assert isinstance(lerf, float)
    assert found["road_combined"] == (lerf - morf) / 2


def test_shares_at_the_points_of_curves_cost_nothing_beside_them() -> None:
    shares = (0.25, 0.5, 0.75)
    metrics: tuple[Metric, ...] = (
        Deletion(4, 4),
        Insertion(4, 4),
        Comprehensiveness(regions=GRID, shares=shares),
        Sufficiency(regions=GRID, shares=shares),
        RoadMorf(regions=GRID, shares=shares),
        RoadLerf(regions=GRID, shares=shares),
    )
    _, rows = evaluated(metrics, Black())
    assert rows == 2 + 2 * 3


def test_the_data_set_s_irof_is_the_ratio_of_the_means() -> None:
    metrics = (
        Irof(Slic(segments=9, compactness=100.0)),
        LerfDeletion(regions=Slic(segments=9, compactness=100.0), steps=5, until=0.5),
    )
    spec = spec_of(metrics, Black(), Random(4))
    images = [source(seed) for seed in range(9)]
    results = list(evaluate(spec, images, {"models/toy": linear(WEIGHTS)}, lambda _: None))
    irof, lerf = summarize(spec, tabulated(spec, results))
    clean, area, ratios = (
        np.array([result.scores[0].parts[name] for result in results], float)
        for name in ("clean", "area", "mean_of_ratios")
    )
    assert irof.summary.value == pytest.approx((clean.sum() - area.sum()) / clean.sum())
    assert irof.parts["mean_of_ratios"].value == pytest.approx(np.mean(1 - area / clean))
    assert irof.parts["mean_of_ratios"].value == pytest.approx(ratios.mean())
    assert irof.summary.value != pytest.approx(ratios.mean(), abs=1e-9)
    # images have numbers of segments of their own, and one mean curve
    assert len(irof.curves["irof"].fractions) == 101
    assert lerf.curves["lerf_deletion"].fractions == pytest.approx([0, 0.5 / 3, 1 / 3, 0.5])
