import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.metrics import (
    AttributionLocalization,
    ConceptInfluence,
    EnergyPointingGame,
    RelevanceMassAccuracy,
    RelevanceRankAccuracy,
    TopKIntersection,
)
from heatproof.evaluators.registry.parameters import UNIT
from heatproof.evaluators.statistics.reductions import Mean
from tests.evaluators.metrics.localization.scoring import number, scored
from tests.evaluators.toys import facts, planned

MAPS = npst.arrays(np.float64, (5, 7), elements=st.integers(-9, 9).map(float))
OBJECT = np.zeros((5, 7), np.bool_)
OBJECT[1:4, 2:5] = True


@given(MAPS)
def test_mass_is_what_a_loop_over_the_pixels_adds_up(attribution: np.ndarray) -> None:
    inside = beyond = 0.0
    for place, value in np.ndenumerate(attribution):
        if value > 0 and OBJECT[place]:
            inside += value
        elif value > 0:
            beyond += value
    if not inside + beyond or attribution.min() == attribution.max():
        return
    expected = inside / (inside + beyond)
    found = scored(AttributionLocalization(), attribution, OBJECT)
    assert found.score == pytest.approx(expected, rel=1e-13)
    assert found.parts == {"chance": pytest.approx(9 / 35)}
    weighted = scored(AttributionLocalization(weighted=True), attribution, OBJECT)
    assert weighted.score == pytest.approx(expected * 35 / 9, rel=1e-13)
    assert weighted.parts == {"chance": 1.0}


@given(MAPS)
def test_three_names_are_one_number(attribution: np.ndarray) -> None:
    outcomes = [
        scored(metric, attribution, OBJECT)
        for metric in (AttributionLocalization(), RelevanceMassAccuracy(), EnergyPointingGame())
    ]
    assert outcomes[0] == outcomes[1] == outcomes[2]


@given(st.permutations(range(35)), st.integers(1, 35))
def test_the_top_pixels_are_those_of_a_sort(values: list[int], k: int) -> None:
    attribution = np.array(values, np.float64).reshape(5, 7) - 20
    highest = set(np.argsort(-attribution, axis=None)[:k].tolist())
    expected = len(highest & set(np.flatnonzero(OBJECT).tolist())) / k
    assert number(TopKIntersection(k), attribution, OBJECT) == pytest.approx(expected)
    influence = number(ConceptInfluence(k), attribution, OBJECT)
    assert influence == pytest.approx(expected * 35 / 9)
    assert number(RelevanceRankAccuracy(), attribution, OBJECT) == number(
        TopKIntersection(9), attribution, OBJECT
    )


@given(st.permutations(range(35)))
def test_rank_accuracy_tells_the_overlap_of_the_top_pixels(values: list[int]) -> None:
    attribution = np.array(values, np.float64).reshape(5, 7)
    top = attribution > 35 - 9 - 1
    overlap = (top & OBJECT).sum() / (top | OBJECT).sum()
    rank = number(RelevanceRankAccuracy(), attribution, OBJECT)
    assert overlap == pytest.approx(rank / (2 - rank))


def test_ties_fall_as_the_seed_draws_them() -> None:
    tied = np.zeros((5, 7))
    tied[0, 0] = 1
    scores = [number(RelevanceRankAccuracy(), tied, OBJECT, seed=seed) for seed in range(60)]
    assert len(set(scores)) > 3
    assert scores[0] == number(RelevanceRankAccuracy(), tied, OBJECT, seed=0)
    assert abs(np.mean(scores) - 8 / 9 * 9 / 34) < 4 * np.std(scores) / np.sqrt(60)


def test_shares_of_huge_values_do_not_overflow() -> None:
    huge = np.where(OBJECT, 1.5e308, 0.5e308)
    assert number(AttributionLocalization(), huge, OBJECT) == pytest.approx(27 / 53)


@pytest.mark.parametrize("kind", [TopKIntersection, ConceptInfluence])
def test_more_pixels_than_the_input_has_are_refused(
    kind: type[TopKIntersection | ConceptInfluence],
) -> None:
    kind(32 * 32).check(planned(facts()))
    with pytest.raises(InvalidArgumentError, match="the input of 32 x 32 has 1024") as caught:
        kind(32 * 32 + 1).check(planned(facts()))
    assert caught.value.field == "k"


def test_ends_that_images_reach_are_declared_as_atoms() -> None:
    assert AttributionLocalization().reduction == Mean(UNIT, (0.0, 1.0))
    assert TopKIntersection().reduction == Mean(UNIT, (0.0, 1.0))
    assert RelevanceRankAccuracy().reduction == Mean(UNIT, (0.0,))
    assert ConceptInfluence().reduction.atoms == (0.0,)
    assert 100.0 in ConceptInfluence().reduction.range
    away, home = (np.where(where, 0.1, 0.0) for where in (~OBJECT, OBJECT))
    assert number(AttributionLocalization(), away, OBJECT) == 0
    assert number(AttributionLocalization(), home, OBJECT) == 1
