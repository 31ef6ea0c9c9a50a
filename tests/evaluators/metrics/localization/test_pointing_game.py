import numpy as np
import pytest

from heatproof.evaluators.metrics import PointingGame
from heatproof.evaluators.outcomes import Outcome, Reason, Undefined
from tests.evaluators.toys import SIDE, ask, case_of, linear, pixels

WEIGHTS = np.random.default_rng(0).uniform(0, 6e-3, (3, SIDE, SIDE))


def scored(
    attribution: np.ndarray, objects: np.ndarray | None, tolerance: float = 0.0, seed: int = 0
) -> Outcome:
    model = linear(WEIGHTS)
    case = case_of(model, pixels(), attribution, object_mask=objects, seed=seed)
    return ask(PointingGame(tolerance).score(case), model)


def spot(row: int, column: int) -> np.ndarray:
    made = np.zeros((SIDE, SIDE))
    made[row, column] = 1
    return made


def box() -> np.ndarray:
    objects = np.zeros((SIDE, SIDE), np.bool_)
    objects[10:20, 4:12] = True
    return objects


@pytest.mark.parametrize(
    ("place", "tolerance", "hit"),
    [
        ((10, 4), 0.0, 1),
        ((19, 11), 0.0, 1),
        ((20, 11), 0.0, 0),
        ((20, 11), 1.0, 1),
        ((23, 15), 5.7, 1),  # 4 and 4 pixels away
        ((24, 15), 5.6, 0),  # 5 and 4
        ((24, 15), 6.5, 1),
    ],
)
def test_a_hit_lies_on_the_object_or_within_the_tolerance(
    place: tuple[int, int], tolerance: float, hit: int
) -> None:
    assert scored(spot(*place), box(), tolerance).score == hit


def test_chance_is_the_share_of_pixels_that_hit() -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    inside = np.argwhere(box())
    for tolerance in (0.0, 3.0):
        distances = [np.hypot(rows - row, columns - column) for row, column in inside]
        near = np.min(distances, axis=0) <= tolerance
        assert scored(spot(0, 0), box(), tolerance).parts["chance"] == near.mean()


def test_ties_fall_as_the_seed_draws_them_and_hit_as_often_as_their_share() -> None:
    tied = np.zeros((SIDE, SIDE))
    tied[10, 4] = tied[0, 0] = 1
    hits = [scored(tied, box(), seed=seed).score for seed in range(40)]
    assert 8 <= sum(float(hit == 1) for hit in hits) <= 32
    assert hits[0] == scored(tied, box(), seed=0).score


@pytest.mark.parametrize(
    ("attribution", "objects", "reason"),
    [
        (spot(0, 0), None, Reason.NO_OBJECT),
        (spot(0, 0), np.zeros((SIDE, SIDE), np.bool_), Reason.NO_OBJECT),
        (spot(0, 0), np.ones((SIDE, SIDE), np.bool_), Reason.FULL_OBJECT),
        (np.ones((SIDE, SIDE)), box(), Reason.DEGENERATE),
    ],
)
def test_what_cannot_be_scored_has_a_reason(
    attribution: np.ndarray, objects: np.ndarray | None, reason: Reason
) -> None:
    score = scored(attribution, objects).score
    assert isinstance(score, Undefined)
    assert score.reason is reason
