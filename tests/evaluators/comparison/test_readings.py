"""Differences, intervals and p-values read again in NumPy, and against the gate's."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from heatproof.evaluators.comparison.values import ModelDifference
from heatproof.evaluators.evaluation.plan import result_keys
from heatproof.evaluators.evaluation.summaries import quantities_of, units_of
from heatproof.evaluators.gate.drops import upper_limits
from heatproof.evaluators.gate.pairing import paired
from heatproof.evaluators.metrics import InterModelDeletion, OcclusionCorrectedDeletion
from heatproof.evaluators.outcomes import Direction
from heatproof.evaluators.statistics.intervals import Intervals
from heatproof.evaluators.statistics.permutation import sign_flip_p_values
from tests.evaluators.comparison.made_up import columns_of, comparisons, spec_of

Estimate = Callable[[Any], Any]
"""The difference, of weights [..., images] that count each image 1 or otherwise."""

STEP = 1e-5


def influence(estimate: Estimate, weights: Any) -> Any:
    """What one more of each image adds to an estimate, numerically, times the images."""
    moved = STEP * np.eye(len(weights))
    slopes = (estimate(weights + moved) - estimate(weights - moved)) / (2 * STEP)
    return weights.sum() * slopes


def two_sided_p(contributions: Any) -> float:
    """By brute force over all signs."""
    signs = np.array(list(itertools.product([1, -1], repeat=len(contributions))))
    sums = np.abs(signs @ contributions)
    return float(np.mean(sums >= abs(contributions.sum()) - 1e-9))


def standard_error(estimate: Estimate, weights: Any) -> float:
    images = weights.sum()
    return float(np.sqrt(weights @ influence(estimate, weights) ** 2 / (images * (images - 1))))


def bootstrap_t(estimate: Estimate, images: int) -> tuple[float, float]:
    """2,000 resamples of its own, each studentised by the numerical influence."""
    rng = np.random.default_rng(99)
    whole = np.ones(images)
    found, pivots = float(estimate(whole)), []
    for _ in range(2_000):
        weights = np.bincount(rng.integers(0, images, images), minlength=images).astype(float)
        pivots.append((float(estimate(weights)) - found) / standard_error(estimate, weights))
    high, low = np.quantile(pivots, [0.975, 0.025])
    error = standard_error(estimate, whole)
    return found - high * error, found - low * error


def check(
    found: ModelDifference, estimate: Estimate, images: int, *, resampled: bool = True
) -> None:
    """Holds a difference to its readings; enumerates the signs of few images."""
    value = float(estimate(np.ones(images)))
    assert found.difference == pytest.approx(value, abs=1e-12)
    if images <= 12:
        assert found.p_value == pytest.approx(
            two_sided_p(value + influence(estimate, np.ones(images)))
        )
    assert found.interval is not None
    if not resampled:
        return
    lower, upper = bootstrap_t(estimate, images)
    # Quantiles of 2,000 other resamples.
    slack = 0.1 * (upper - lower)
    assert found.interval.lower == pytest.approx(lower, abs=slack)
    assert found.interval.upper == pytest.approx(upper, abs=slack)


@pytest.mark.parametrize("images", [10, 20])
def test_a_difference_of_means(images: int) -> None:
    first, second = np.random.default_rng(1).uniform(0.2, 0.9, (2, images))
    spec = spec_of("a", "b")
    (found,) = comparisons(spec, columns_of(spec, [first, second]))
    check(found.differences[0], lambda w: w @ (first - second) / w.sum(-1), images)


@pytest.mark.parametrize("images", [10, 20])
def test_a_difference_of_ratios_of_sums(images: int) -> None:
    rng = np.random.default_rng(2)
    spec = spec_of("a", "b", metrics=(OcclusionCorrectedDeletion(),))
    random, oracle = np.full((2, images), 0.8), rng.uniform(0.1, 0.4, (2, images))
    oracle[1] += 0.3  # the second model hardly minds
    own = rng.uniform(0.3, 0.7, (2, images))
    parts = {
        place: {
            "random_area": random[place],
            "deletion_area": own[place],
            "oracle_area": oracle[place],
        }
        for place in range(2)
    }
    (found,) = comparisons(spec, columns_of(spec, [own[0], own[1]], parts))

    def estimate(weights: Any) -> Any:
        won, room = weights @ (random - own).T, weights @ (random - oracle).T
        return (won / room) @ [1, -1]

    check(found.differences[0], estimate, images)


def diagonal(gains: Any) -> Any:
    return np.diagonal(gains, axis1=-2, axis2=-1)


@pytest.mark.parametrize("images", [10, 16])
def test_differences_of_qualities_and_of_advantages_in_a_panel(images: int) -> None:
    rng = np.random.default_rng(3)
    models = 3
    spec = spec_of("a", "b", "c", metrics=(InterModelDeletion(),))
    random = rng.uniform(0.7, 0.9, (models, images))
    oracle = random - rng.uniform(0.2, 0.5, (models, images))
    areas = random[:, None] - rng.uniform(-0.1, 0.3, (models, models + 2, images))
    orders = [*map(str, range(models)), "random", "centre"]
    parts = {f"random_area[{j}]": random[j] for j in range(models)}
    parts |= {f"oracle_area[{j}]": oracle[j] for j in range(models)}
    parts |= {
        f"deletion_area[{j},{order}]": areas[j, k]
        for j in range(models)
        for k, order in enumerate(orders)
    }
    for name in [key for key in InterModelDeletion().reductions(models) if "[" in key]:
        parts.setdefault(name, np.zeros(images))  # an image's own value, which no sum reads
    quality, advantage = comparisons(spec, columns_of(spec, [np.ones(images)], {0: parts}))

    def gains(weights: Any) -> Any:
        """Gains [..., models, orders]."""
        won = np.tensordot(weights, random[:, None] - areas, axes=(-1, -1))
        return won / (weights @ (random - oracle).T)[..., None]

    def of_quality(weights: Any) -> Any:
        held = gains(weights)[..., :models]
        return (held.sum(axis=-2) - diagonal(held)) / (models - 1)

    def of_advantage(weights: Any) -> Any:
        held = gains(weights)[..., :models]
        return diagonal(held) - (held.sum(axis=-1) - diagonal(held)) / (models - 1)

    for found, values in ((quality, of_quality), (advantage, of_advantage)):
        expected = values(np.ones(images))
        assert [held.summary.value for held in found.models] == pytest.approx(list(expected))
        for each, (first, second) in zip(
            found.differences, itertools.combinations(range(models), 2), strict=True
        ):
            check(
                each,
                lambda w, v=values, a=first, b=second: v(w)[..., a] - v(w)[..., b],
                images,
                resampled=first == 0,
            )
    controls = gains(np.ones(images))[:, models:].mean(axis=0)
    assert [quality.controls[name].value for name in ("random", "centre")] == pytest.approx(
        list(controls)
    )


@pytest.mark.parametrize("images", [11, 30])
def test_of_two_models_the_gates_pair_has_the_same_ends_and_half_the_p_value(images: int) -> None:
    rng = np.random.default_rng(4)
    ease = rng.normal(0.6, 0.1, images)
    better, worse = ease + rng.normal(0.02, 0.05, images), ease
    spec = spec_of("a", "b", seed=5)
    columns = columns_of(spec, [better, worse])
    (found,) = comparisons(spec, columns)
    units = units_of(columns.images, seed=spec.seed)
    first, second = (
        quantities_of(key, columns.results[index].taken(units.images))[""]
        for index, key in enumerate(result_keys(spec))
    )
    pair = paired(second, first, units, Direction.HIGHER_IS_BETTER, tolerance=0.0)
    (limit,) = upper_limits([pair], seed=5, tail=0.025, kind=Intervals.STANDARD)
    (one_sided,) = sign_flip_p_values([pair.drop()], [0.0], seed=5)
    (difference,) = found.differences
    assert difference.difference == pair.drop().estimate()
    assert difference.interval is not None
    assert difference.interval.upper == limit
    if images <= 12:
        assert difference.p_value == 2 * one_sided
    else:
        # Both tails of the same 9,999 patterns.
        assert difference.p_value == pytest.approx(2 * one_sided, abs=0.006)
