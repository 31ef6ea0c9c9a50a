"""A map that is the same everywhere puts no region first: no metric of an order scores it."""

from typing import NoReturn

import numpy as np
import pytest

from heatproof.evaluators.metrics import (
    Comprehensiveness,
    Metric,
    MinimalSubset,
    Monotonicity,
    RoadCombined,
    RoadLerf,
    RoadMorf,
    Sufficiency,
)
from heatproof.evaluators.outcomes import Reason, Undefined
from heatproof.evaluators.queries.procedure import Query
from heatproof.evaluators.regions import Grid
from tests.evaluators.toys import SIDE, answer, case_of, linear, pixels

GRID = Grid(8)
METRICS: list[Metric] = [
    Comprehensiveness(regions=GRID),
    Sufficiency(regions=GRID),
    Monotonicity(regions=GRID),
    MinimalSubset(regions=GRID),
    RoadMorf(),
    RoadLerf(),
    RoadCombined(),
]


def refuse(query: Query) -> NoReturn:
    raise AssertionError(query)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("height", [0.0, 1.0, -2.5])
def test_a_constant_map_is_degenerate_and_costs_nothing(metric: Metric, height: float) -> None:
    predictor = linear(np.full((3, SIDE, SIDE), 1e-3))
    case = case_of(predictor, pixels(), np.full((SIDE, SIDE), height))
    found = answer(metric.score(case), refuse).score
    assert isinstance(found, Undefined)
    assert found.reason is Reason.DEGENERATE
