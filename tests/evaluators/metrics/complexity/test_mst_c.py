import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.metrics import MstC
from heatproof.evaluators.outcomes import Reason
from tests.evaluators.metrics.localization.scoring import number, reason


def tree_length(points: np.ndarray, neighbours: int | None = None) -> float:
    """Kruskal's algorithm over all pairs, or those of near ones that leave no tie open."""
    distances = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    edges = [
        (distances[i, j], i, j)
        for i in range(len(points))
        for j in range(i)
        if neighbours is None
        or distances[i, j] <= np.sort(distances[i])[neighbours]
        or distances[i, j] <= np.sort(distances[j])[neighbours]
    ]
    owner = list(range(len(points)))
    total = 0.0
    for length, i, j in sorted(edges):
        if owner[i] != owner[j]:
            total += length
            owner = [owner[i] if own == owner[j] else own for own in owner]
    assert len(set(owner)) == 1
    return total


def score(points: np.ndarray, hull: float, length: float, shape: tuple[int, int]) -> float:
    return float(100 * np.hypot(*shape) * len(points) / length / np.sqrt(hull))


def test_a_square_has_a_closed_form() -> None:
    """A block of s x s pixels: its hull has sides of s - 1, its tree s^2 - 1 edges of 1."""
    made = np.zeros((20, 20))
    made[4:12, 5:13] = 1
    expected = score(np.zeros((64, 2)), 49, 63, (20, 20))
    assert number(MstC(0.9), made, None) == pytest.approx(expected)


def test_a_constant_map_has_the_score_of_the_whole_input() -> None:
    expected = score(np.zeros((600, 2)), 19 * 29, 599, (20, 30))
    assert number(MstC(), np.full((20, 30), 0.2), None) == pytest.approx(expected)


def test_parts_far_from_each_other_are_joined_by_their_shortest_edge() -> None:
    made = np.zeros((40, 40))
    made[0:6, 0:6] = made[30:36, 30:36] = 1
    gap = np.hypot(25, 25)
    corners = np.array([[0, 0], [0, 5], [30, 35], [35, 35], [35, 30], [5, 0]], np.float64)
    x, y = corners.T
    hull = abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2
    expected = score(np.zeros((72, 2)), hull, 2 * 35 + gap, (40, 40))
    assert number(MstC(0.96), made, None) == pytest.approx(expected)


@given(npst.arrays(np.bool_, (7, 9), fill=st.nothing()), st.integers(1, 30))
def test_the_tree_is_the_shortest_over_all_pairs_where_it_must_be(
    salient: np.ndarray, neighbors: int
) -> None:
    """One neighbour hardly ever joins all points; all others always do."""
    points = np.argwhere(salient).astype(np.float64)
    if len(points) < 3 or np.linalg.matrix_rank(points - points[0]) < 2:
        return
    made = np.where(salient, 1.0, 0.0)
    quantile = (63 - len(points)) / 63
    shortest = tree_length(points)
    found = [number(MstC(quantile, k), made, None) for k in (neighbors, 62)]
    hull = hull_area(points)
    assert found[1] == pytest.approx(score(points, hull, shortest, (7, 9)), rel=1e-9)
    assert found[0] <= found[1] * (1 + 1e-9)


def hull_area(points: np.ndarray) -> float:
    """The area inside of all half-planes of edges, by Andrew's chain."""
    ordered = sorted(map(tuple, points.tolist()))

    def chain(places: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
        kept: list[tuple[float, ...]] = []
        for place in places:
            while len(kept) > 1 and turn(kept[-2], kept[-1], place) <= 0:
                kept.pop()
            kept.append(place)
        return kept[:-1]

    x, y = np.array(chain(ordered) + chain(ordered[::-1])).T
    return float(abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2)


def turn(a: tuple[float, ...], b: tuple[float, ...], c: tuple[float, ...]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def test_the_neighbour_graph_decides_where_it_hangs_together() -> None:
    """Nothing but edges to the nearest enters, whichever end is near to the other."""
    rng = np.random.default_rng(5)
    for _ in range(10):
        salient = rng.random((9, 9)) < 0.5
        points = np.argwhere(salient).astype(np.float64)
        made = np.where(salient, 1.0, 0.0)
        quantile = (81 - len(points)) / 81
        length = tree_length(points, 20)
        expected = score(points, hull_area(points), length, (9, 9))
        assert number(MstC(quantile), made, None) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("places", [[(3, 3)], [(3, 3), (5, 6)], [(1, 1), (3, 3), (7, 7)]])
def test_points_on_a_line_are_degenerate(places: list[tuple[int, int]]) -> None:
    made = np.zeros((10, 10))
    for place in places:
        made[place] = 2
    assert reason(MstC(0.99), made, None) is Reason.DEGENERATE


def test_the_percentile_is_interpolated() -> None:
    made = np.arange(100.0).reshape(10, 10)
    expected = score(np.zeros((20, 2)), 9.0, 19, (10, 10))
    assert number(MstC(), made, None) == pytest.approx(expected)
