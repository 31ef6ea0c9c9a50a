"""What faithfulness metrics cost together: every picture that one of them asks for, once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import METRICS, FaithfulnessEstimate, Metric
from heatproof.evaluators.metrics.metric import MetricCategory
from heatproof.evaluators.regions import Grid, Patches
from heatproof.evaluators.removal import Black, Blur, RemovalOperator
from tests.evaluators.toys import SIDE, linear

WEIGHTS = np.random.default_rng(11).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
CELLS = 16
GRID = {"regions": Grid(4)}
STEPPED = {**GRID, "steps": CELLS}
SHARES = {**GRID, "shares": (0.25, 0.5)}


@dataclass(frozen=True)
class Part:
    """Metrics that ask alike.

    Attributes:
        rows: what all of them cost together, the clean image among it.
        metrics: parameters by name.
    """

    rows: int
    metrics: dict[str, dict[str, Any]]


PARTS = {
    "curves": Part(
        2 + 2 * (CELLS - 1),  # clean and empty, and the points of both orders between them
        {
            "abpc": STEPPED,
            "comprehensiveness": SHARES,
            "deletion": {"grid": 4, "steps": CELLS},
            "insertion": {"grid": 4, "steps": CELLS},
            "irof": GRID,
            "lerf_deletion": STEPPED,
            "minimal_subset": STEPPED,
            "monotonicity": STEPPED,
            "morf_deletion": STEPPED,
            "pixel_flipping": STEPPED,
            "region_perturbation": {"cells": CELLS},
            "road_combined": SHARES,
            "road_lerf": SHARES,
            "road_morf": SHARES,
            "selectivity": {"regions": Patches(SIDE // 4)},
            "srg": STEPPED,
            "sufficiency": SHARES,
        },
    ),
    "single regions": Part(
        1 + CELLS,
        {
            "faithfulness_estimate": GRID,
            "monotonicity_correlation": GRID,
            "non_sensitivity": GRID,
            "qge": {"of": FaithfulnessEstimate(**GRID)},
        },
    ),
    "sets of one size": Part(
        1 + 8,
        {
            "faithfulness_correlation": {**GRID, "subsets": 8, "size": 0.25},
            "sensitivity_n": {**GRID, "subsets": 8, "sizes": (0.25,)},
        },
    ),
    "groups": Part(1 + 10, {"saco": GRID}),
    "masked confidence": Part(
        1 + 1,
        {
            "average_drop": {},
            "average_gain": {},
            "drop_in_confidence": {},
            "increase_in_confidence": {},
        },
    ),
}
ALONE: dict[str, dict[str, Any]] = {
    "infidelity": {"grid": 4, "subsets": 8},
    "mu_fidelity": {**GRID, "subsets": 8},
}
"""Metrics whose sets are of nobody else's kind."""


def made(asked: dict[str, dict[str, Any]]) -> list[Metric]:
    return [METRICS[name](**parameters) for name, parameters in asked.items()]


def rows(metrics: Sequence[Metric], removal: RemovalOperator) -> tuple[int, set[bytes]]:
    """Predictions, and the different pictures that the model saw."""
    spec = EvaluationSpec(
        models=("models/toy",),
        preprocessing=PRESETS["unit"],
        metrics=tuple(metrics),
        explainers=(Random(4),),
        removals=(removal,),
    )
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    predictor, seen = linear(WEIGHTS), list[Progress]()
    image = SourceImage(f"{0:064x}", "0.png", pixels)
    list(evaluate(spec, [image], {"models/toy": predictor}, seen.append))
    pictures = {picture.tobytes() for batch in predictor.batches for picture in batch}
    return seen[-1].predictions_done, pictures


def test_every_faithfulness_metric_is_asked() -> None:
    asked = [*ALONE, *(name for part in PARTS.values() for name in part.metrics)]
    faithful = {
        name for name in METRICS if METRICS[name].facts.category is MetricCategory.FAITHFULNESS
    }
    assert sorted(asked) == sorted(faithful)


@pytest.mark.parametrize("name", PARTS)
def test_metrics_that_ask_alike_cost_as_much_as_what_they_ask(name: str) -> None:
    assert rows(made(PARTS[name].metrics), Black())[0] == PARTS[name].rows


@pytest.mark.parametrize("removal", [Black(), Blur(sigma=2.0)])
def test_all_together_ask_once_for_each_picture_that_one_of_them_asks_for(
    removal: RemovalOperator,
) -> None:
    metrics = made(ALONE) + [one for part in PARTS.values() for one in made(part.metrics)]
    together, pictures = rows(metrics, removal)
    alone = [rows([metric], removal) for metric in metrics]
    assert pictures == set().union(*(shown for _, shown in alone))
    assert together == len(pictures)
    assert together < sum(cost for cost, _ in alone) / 5
