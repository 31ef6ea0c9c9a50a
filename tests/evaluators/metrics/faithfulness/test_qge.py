"""The gap between a map and its inverse, by another metric."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    AgreementSpearman,
    AverageDrop,
    Deletion,
    FaithfulnessCorrelation,
    IncreaseInConfidence,
    InterModelDeletion,
    MaxSensitivity,
    Metric,
    NonSensitivity,
    OcclusionRobustness,
    Qge,
    Srg,
)
from heatproof.evaluators.metrics.functions.subsets import Output
from heatproof.evaluators.outcomes import Direction, Outcome, Reason, Undefined
from heatproof.evaluators.queries.batching import Batcher
from heatproof.evaluators.regions import Grid
from heatproof.evaluators.registry.parameters import Range
from heatproof.evaluators.registry.registry import Reads
from heatproof.evaluators.removal import Black
from heatproof.evaluators.statistics.reductions import Mean
from tests.evaluators.toys import SIDE, case_of, facts, linear, pixels, planned, run_one

WEIGHTS = np.random.default_rng(0).uniform(-2e-3, 6e-3, (3, SIDE, SIDE))
MADE = pixels(3)[0].astype(np.float64)
CORRELATION = FaithfulnessCorrelation(regions=Grid(4), subsets=16)


def scored(metric: Metric, made: np.ndarray = MADE) -> tuple[Outcome, int]:
    """The outcome, and the predictions that it cost."""
    predictor = linear(WEIGHTS)
    case = case_of(predictor, pixels(), made)
    batcher = Batcher(predictor)
    return run_one(metric.score(case), batcher), batcher.rows_done


def value(metric: Metric, made: np.ndarray = MADE) -> float:
    score = scored(metric, made)[0].score
    assert isinstance(score, float)
    return score


def test_the_score_is_that_of_the_map_less_that_of_its_inverse() -> None:
    metric = NonSensitivity(regions=Grid(4), eps=0.02)
    made = np.maximum(MADE - 0.74, 0) * np.array([1.0, -3.0])[np.arange(SIDE) % 2]
    found, _ = scored(Qge(of=CORRELATION))
    assert found.score == value(CORRELATION) - value(CORRELATION, -MADE)
    assert found.parts["quality"] == value(CORRELATION)
    assert found.parts["inverse_quality"] == value(CORRELATION, -MADE)
    assert value(Qge(of=metric), made) == value(metric, -made) - value(metric, made)


def test_of_a_correlation_it_is_twice_that_and_costs_no_prediction_more() -> None:
    found, rows = scored(Qge(of=CORRELATION))
    alone, rows_alone = scored(CORRELATION)
    assert isinstance(alone.score, float)
    assert found.score == pytest.approx(2 * alone.score, abs=1e-9)
    assert 0 < rows == rows_alone


def test_of_deletion_it_is_the_symmetric_relevance_gain() -> None:
    gap = value(Qge(of=Deletion(4, 16)))
    assert gap == pytest.approx(value(Srg(regions=Grid(4), steps=16)), abs=1e-9)
    assert gap == value(Deletion(4, 16), -MADE) - value(Deletion(4, 16))


def test_higher_is_better_and_the_range_is_that_of_gaps() -> None:
    assert Qge(of=Deletion()).direction is Direction.HIGHER_IS_BETTER
    assert Qge().reduction == Mean(Range(-2, 2))
    assert Qge(of=Deletion()).reduction == Mean(Range(-1, 1))
    assert Qge(of=IncreaseInConfidence()).reduction == Mean(Range(-1, 1), (-1.0, 0.0, 1.0))
    unbounded = Mean(Range(-math.inf, math.inf, lower_included=False, upper_included=False))
    assert Qge(of=Deletion(output=Output.LOGIT)).reduction == unbounded


def test_it_reads_and_refuses_what_the_other_metric_does() -> None:
    assert set(Qge().reads) == {Reads.ATTRIBUTION, Reads.REMOVAL}
    with pytest.raises(InvalidArgumentError) as caught:
        Qge(of=FaithfulnessCorrelation(regions=Grid(33))).check(planned(facts(), Black()))
    assert caught.value.field == "of.faithfulness_correlation.regions.grid.side"
    most = Qge(of=CORRELATION).cost(planned(facts(), Black()))
    assert most.views == 2 * 16


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        (Qge(), "such a gap itself"),
        (OcclusionRobustness(), "reads no map"),
        (MaxSensitivity(), "reads explainer"),
        (InterModelDeletion(), "reads panel"),
        (AverageDrop(), "no mean"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
def test_what_has_no_inverse_or_no_mean_is_refused(metric: Metric, words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words) as caught:
        Qge(of=metric)
    assert caught.value.field == "of"


def test_a_status_of_the_map_or_of_its_inverse_is_that_of_the_gap() -> None:
    flat, _ = scored(Qge(of=CORRELATION), np.full((SIDE, SIDE), 0.2))
    assert isinstance(flat.score, Undefined)
    assert flat.score.reason is Reason.DEGENERATE
    found, _ = scored(Qge(of=IncreaseInConfidence()), MADE)
    assert isinstance(found.score, Undefined)
    assert found.score.detail.startswith("of the inverse of the map")
    assert isinstance(found.parts["quality"], float)


def test_agreement_of_a_second_explainer_may_be_asked_of_the_inverse() -> None:
    metric = Qge(of=AgreementSpearman())
    assert metric.reads == (Reads.ATTRIBUTION,)
    assert replace(metric).echoed == metric
