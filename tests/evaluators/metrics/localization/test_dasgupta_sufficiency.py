from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.evaluation.results import ImageResult, ImageScore, Summary
from heatproof.evaluators.evaluation.summaries import summarize
from heatproof.evaluators.evaluation.tabulation import tabulated
from heatproof.evaluators.metrics import DasguptaSufficiency
from heatproof.evaluators.outcomes import Reason
from heatproof.evaluators.statistics import likeness
from heatproof.evaluators.statistics.likeness import LikenessOfNear
from tests.evaluators.metrics.localization.scoring import reason, scored
from tests.evaluators.metrics.localization.test_dasgupta_consistency import HOLE
from tests.evaluators.metrics.localization.test_dasgupta_consistency import SPEC as OTHER
from tests.evaluators.toys import SIDE, facts, planned

METRIC = DasguptaSufficiency(grid=2)
SPEC = replace(OTHER, metrics=(METRIC,))


def summary(maps: np.ndarray, classes: np.ndarray, digests: list[int] | None = None) -> Summary:
    """Of images by the four cells of their maps and their classes; NaN: no map."""
    images = [
        ImageResult(
            f"{digest:064x}", "", None, (),
            (ImageScore(
                0, HOLE if np.isnan(cells).any() else float(held),
                {LikenessOfNear.cell(place): float(cell) for place, cell in enumerate(cells)}
                if not np.isnan(cells).any() else {}, {},
            ),),
        )
        for digest, cells, held in zip(
            digests or range(len(maps)), maps, classes, strict=True
        )
    ]  # fmt: skip
    return summarize(SPEC, tabulated(SPEC, images))[0].summary


def expected(maps: np.ndarray, classes: np.ndarray) -> list[float]:
    """The share of each image that has near ones, by SciPy's standardized distances."""
    varying = maps.std(axis=0) > 0
    distances = squareform(pdist(maps[:, varying], "seuclidean"))
    near = distances <= 0.6 * distances.max()
    np.fill_diagonal(near, val=False)
    return [
        float((classes[row] == classes[place]).mean())
        for place, row in enumerate(near)
        if row.any()
    ]


SETS = st.integers(3, 14).flatmap(
    lambda images: st.tuples(
        st.lists(
            st.lists(st.integers(0, 9).map(float), min_size=4, max_size=4),
            min_size=images, max_size=images,
        ),
        st.lists(st.sampled_from([0.0, 1.0]), min_size=images, max_size=images),
    )
)  # fmt: skip


@given(SETS, st.sampled_from([2, 256]))
def test_near_images_of_one_class_are_counted(
    held: tuple[list[list[float]], list[float]], at_once: int
) -> None:
    maps, classes = np.array(held[0]), np.array(held[1])
    maps[:, 3] *= 1000  # whose deviation would else decide alone
    if not maps.std(axis=0).any():
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likeness, "_ROWS", at_once)
        found = summary(maps, classes)
    shares = expected(maps, classes)
    assert found.scored == len(shares)
    assert found.value == (pytest.approx(np.mean(shares), abs=1e-12) if shares else None)
    assert found.undefined.get("NO_DONOR", 0) == len(maps) - len(shares)
    assert found.interval is None


def test_coordinates_have_the_deviation_of_n_less_one() -> None:
    held = np.random.default_rng(0).normal(size=(9, 4))
    scaled = likeness._scaled(held)
    np.testing.assert_allclose(scaled.std(axis=0, ddof=1), 1, rtol=1e-12)


def test_the_order_of_the_images_changes_no_bit() -> None:
    rng = np.random.default_rng(1)
    maps, classes = rng.normal(size=(40, 4)), rng.integers(0, 3, 40).astype(float)
    places = rng.permutation(40)
    before = summary(maps, classes)
    moved = summary(maps[places], classes[places], places.tolist())
    assert moved.value == pytest.approx(before.value, abs=1e-15)
    assert likeness._scaled(maps)[places].tolist() == likeness._scaled(maps[places]).tolist()


def test_maps_that_are_all_equal_are_all_near() -> None:
    found = summary(np.ones((4, 4)), np.array([0.0, 0.0, 0.0, 1.0]))
    assert found.value == pytest.approx((2 / 3 * 3 + 0) / 4)


def test_an_image_without_a_map_is_no_partner() -> None:
    maps = np.array([[0, 0, 0, 1.0], [0, 0, 0, 1.1], [9, 9, 9, 9], [np.nan] * 4])
    found = summary(maps, np.array([0.0, 0.0, 1.0, 0.0]))
    assert (found.value, found.scored) == (1.0, 2)
    assert found.undefined == {"DEGENERATE": 1, "NO_DONOR": 1}


def test_one_image_has_no_partner() -> None:
    assert summary(np.ones((1, 4)), np.zeros(1)).undefined == {"NO_DONOR": 1}


def test_an_image_tells_its_class_and_its_cells() -> None:
    rows, columns = np.mgrid[:SIDE, :SIDE]
    found = scored(METRIC, (rows >= SIDE // 2) + 2.0 * (columns >= SIDE // 2), None)
    assert found.score == 0.0
    assert found.parts == {
        f"cell[{place}]": float(value) for place, value in enumerate([0, 2, 1, 3])
    }
    assert reason(METRIC, np.ones((SIDE, SIDE)), None) is Reason.DEGENERATE


def test_cells_under_a_pixel_are_refused() -> None:
    small = replace(facts(), height=8, width=8)
    with pytest.raises(InvalidArgumentError, match="at most 8"):
        DasguptaSufficiency(9).check(planned(small))
