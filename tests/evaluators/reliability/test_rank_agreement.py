"""Krippendorff's alpha and the correlations, against other readings of their definitions."""

from itertools import combinations

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from heatproof.evaluators.evaluation.results import Summary
from heatproof.evaluators.reliability.rank_agreement import (
    Sampled,
    explainer_agreement,
    image_agreement,
    metric_agreement,
    rank_agreement,
)
from heatproof.evaluators.statistics.groups.units import Units


def sampled(images: int, groups: tuple[str, ...] = ()) -> Sampled:
    digests = [f"{place:064x}" for place in range(images)]
    units = Units.of(digests, groups or ("",) * images, seed=0)
    return Sampled(units, np.arange(images), 0)


def scores(images: int, maps: int, seed: int = 0, ties: int = 0) -> np.ndarray:
    drawn = np.random.default_rng(seed).standard_normal((images, maps)) + np.arange(maps) / 2
    return np.round(drawn, 0) if ties else drawn


def alpha_by_pairs(ranks: np.ndarray) -> float:
    """Krippendorff's (2011) definition, pair by pair: 1 - observed / expected disagreement."""
    raters, items = ranks.shape
    counts = {value: int((ranks == value).sum()) for value in np.unique(ranks)}

    def distance(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        between = sum(count for value, count in counts.items() if low <= value <= high)
        return float((between - (counts[low] + counts[high]) / 2) ** 2) if low != high else 0.0

    observed = sum(
        distance(ranks[i, item], ranks[j, item])
        for item in range(items)
        for i in range(raters)
        for j in range(raters)
        if i != j
    ) / (raters - 1)
    values = ranks.ravel()
    n = len(values)
    expected = sum(distance(a, b) for a in values for b in values) / (n - 1)
    return 1 - observed / expected


@pytest.mark.parametrize("ties", [0, 1])
def test_alpha_is_that_of_the_ranks(ties: int) -> None:
    drawn = scores(9, 4, ties=ties)
    found = image_agreement(drawn, sampled(9))
    ranks = rankdata(drawn, axis=1)
    assert found.value == pytest.approx(alpha_by_pairs(ranks), abs=1e-12)
    library = krippendorff.alpha(reliability_data=ranks, level_of_measurement="ordinal")
    assert found.value == pytest.approx(library, abs=1e-12)
    assert found.interval is not None
    assert found.interval.method == "percentile"
    assert found.interval.lower < found.value < found.interval.upper


def test_alpha_is_1_where_all_images_rank_alike_and_about_0_where_each_ranks_at_random() -> None:
    alike = np.arange(5) + np.linspace(0, 9, 20)[:, None]
    found = image_agreement(alike, sampled(20))
    assert found.value == pytest.approx(1)
    drawn = np.random.default_rng(3).random((400, 5))
    at_random = image_agreement(drawn, sampled(400))
    assert at_random.value == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 4), (9, 1)])
def test_one_image_or_one_map_agrees_with_nobody(shape: tuple[int, int]) -> None:
    assert image_agreement(scores(*shape), sampled(shape[0])).value is None


def test_images_that_tie_all_maps_say_nothing() -> None:
    assert image_agreement(np.ones((9, 3)), sampled(9)).value is None


@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(2, 5))
def test_the_order_of_maps_and_a_rising_function_of_each_image_change_no_alpha(
    seed: int, images: int, maps: int
) -> None:
    drawn = scores(images, maps, seed)
    plain = image_agreement(drawn, sampled(images))
    turned = image_agreement(np.exp(drawn[:, ::-1]) * 3 + 1, sampled(images))
    assert turned.value == pytest.approx(plain.value, abs=1e-12)


def by_scipy(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    return float(np.mean([spearmanr(*pair).statistic for pair in pairs]))


@pytest.mark.parametrize("ties", [0, 1])
def test_explainers_agree_by_spearman_over_images(ties: int) -> None:
    easy = 2 * np.random.default_rng(1).standard_normal((30, 1))
    drawn = scores(30, 4, ties=ties) + np.round(easy)
    found = explainer_agreement(drawn, sampled(30))
    pairs = [(drawn[:, a], drawn[:, b]) for a, b in combinations(range(4), 2)]
    assert found.value == pytest.approx(by_scipy(pairs), abs=1e-12)
    assert found.interval is not None
    assert found.interval.lower < by_scipy(pairs) < found.interval.upper


def test_metrics_agree_by_spearman_over_images_map_by_map() -> None:
    first, second = scores(25, 3, 4), scores(25, 3, 5)
    second = second + first
    found = metric_agreement(first, second, sampled(25))
    pairs = [(first[:, place], second[:, place]) for place in range(3)]
    assert found.value == pytest.approx(by_scipy(pairs), abs=1e-12)
    assert metric_agreement(first, first, sampled(25)).value == pytest.approx(1)
    assert metric_agreement(first, -first, sampled(25)).value == pytest.approx(-1)


def test_rankings_agree_by_spearman_over_the_mean_scores() -> None:
    first, second = scores(30, 5, 1), scores(30, 5, 2)
    second[:, [0, 3]] = second[:, [3, 0]]
    found = rank_agreement(first, second, sampled(30))
    assert found.value == pytest.approx(
        by_scipy([(first.mean(axis=0), second.mean(axis=0))]), abs=1e-12
    )
    assert found.interval is not None
    assert found.interval.lower <= found.value <= found.interval.upper
    assert rank_agreement(first, 2 * first + 1, sampled(30)).value == pytest.approx(1)
    assert rank_agreement(first, -first, sampled(30)).value == pytest.approx(-1)
    assert rank_agreement(first[:, :2], second[:, :2], sampled(30)).value is None
    assert rank_agreement(first, np.ones_like(first), sampled(30)).value is None


def test_a_map_that_all_images_score_alike_correlates_with_nothing() -> None:
    drawn = scores(12, 3)
    drawn[:, 1] = 0.5
    assert explainer_agreement(drawn, sampled(12)).value is None


def width(found: Summary) -> float:
    assert found.interval is not None
    return found.interval.upper - found.interval.lower


def test_images_of_a_group_are_resampled_together() -> None:
    """Every image four times: no more is known than of single ones."""
    drawn = scores(12, 4, 7)
    fourfold = np.repeat(drawn, 4, axis=0)
    groups = tuple(f"g{place // 4}" for place in range(48))
    grouped = image_agreement(fourfold, sampled(48, groups))
    assert grouped.units == 12
    assert grouped.scored == 48
    naive = image_agreement(fourfold, sampled(48))
    assert width(naive) < 0.7 * width(grouped)
    assert width(explainer_agreement(fourfold, sampled(48))) < 0.7 * width(
        explainer_agreement(fourfold, sampled(48, groups))
    )


def test_every_image_of_a_group_counts() -> None:
    drawn = scores(48, 4, 7)
    groups = tuple(f"g{place // 4}" for place in range(48))
    grouped, single = (image_agreement(drawn, sampled(48, own)) for own in (groups, ()))
    assert grouped.value == pytest.approx(single.value, rel=1e-12)


def test_few_units_give_a_value_and_no_interval() -> None:
    found = image_agreement(scores(7, 4), sampled(7))
    assert found.value is not None
    assert found.interval is None
