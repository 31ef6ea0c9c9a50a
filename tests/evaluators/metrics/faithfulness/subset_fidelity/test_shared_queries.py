"""Equal queries of several metrics are answered once, whatever is read of the answers."""

from dataclasses import replace

import numpy as np

from heatproof.evaluators.evaluation.engine import Progress, evaluate
from heatproof.evaluators.evaluation.spec import EvaluationSpec
from heatproof.evaluators.explainers import Random
from heatproof.evaluators.images.preprocessing import PRESETS
from heatproof.evaluators.images.sources import SourceImage
from heatproof.evaluators.metrics import (
    AverageDrop,
    AverageGain,
    DropInConfidence,
    FaithfulnessCorrelation,
    FaithfulnessEstimate,
    IncreaseInConfidence,
    Metric,
    MonotonicityCorrelation,
    NonSensitivity,
    SensitivityN,
    SingleDeletionCorrelation,
)
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.removal import Black, Noise
from tests.evaluators.toys import SIDE, linear

CELLS = Grid(4)
SPEC = EvaluationSpec(
    models=("models/toy",),
    preprocessing=PRESETS["unit"],
    metrics=(),
    explainers=(Random(4), Random(8)),
    removals=(Black(),),
)


def predictions(*metrics: Metric, spec: EvaluationSpec = SPEC) -> int:
    """Predictions beside that of the clean image."""
    weights = np.random.default_rng(0).uniform(-1e-3, 6e-3, (3, SIDE, SIDE))
    rng = np.random.default_rng(0)
    picture = SourceImage("0", "", rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    seen: list[Progress] = []
    asked = replace(spec, metrics=metrics)
    list(evaluate(asked, [picture], {"models/toy": linear(weights)}, seen.append))
    return seen[-1].predictions_done - 1


def test_all_metrics_of_single_regions_cost_as_much_as_one() -> None:
    alone = predictions(SingleDeletionCorrelation(regions=CELLS))
    together = predictions(
        SingleDeletionCorrelation(regions=CELLS),
        FaithfulnessEstimate(regions=CELLS),
        NonSensitivity(regions=CELLS),
        MonotonicityCorrelation(regions=CELLS),
    )
    assert alone == together == 16


def test_further_draws_of_a_random_operator_share_the_first_with_the_others() -> None:
    noisy = replace(SPEC, removals=(Noise(),))
    estimate = FaithfulnessEstimate(regions=CELLS)
    monotonicity = MonotonicityCorrelation(regions=CELLS, draws=3)
    assert predictions(estimate, monotonicity, spec=noisy) == 3 * 16


def test_random_sets_of_one_size_are_shared() -> None:
    sensitivity = SensitivityN(regions=CELLS, sizes=(0.25, 0.5), subsets=8)
    correlation = FaithfulnessCorrelation(regions=CELLS, size=0.25, subsets=12)
    assert predictions(sensitivity) == 16
    assert predictions(sensitivity, correlation) == 16 + 4


def test_what_a_map_keeps_is_asked_once_for_all_four_metrics() -> None:
    soft = (AverageDrop(), IncreaseInConfidence(), AverageGain(), DropInConfidence())
    assert predictions(*soft) == len(SPEC.explainers)
    top = tuple(replace(metric, keep=0.25, regions=CELLS) for metric in soft)
    assert predictions(*top) == len(SPEC.explainers)
