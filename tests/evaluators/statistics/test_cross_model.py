"""Scores of panels, sums of ratios over several arms, held to plain NumPy and to population values.

The readings below know areas [images, models] and [images, models, maps] and no arm: estimates are
written down from sums, standard errors from the covariance of the areas and a numerical gradient.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from heatproof.evaluators.statistics import bootstrap
from heatproof.evaluators.statistics.arms import ArmContrast
from heatproof.evaluators.statistics.bootstrap import Studentised, bootstrap_t
from heatproof.evaluators.statistics.cross_model import CrossModel

Floats = NDArray[np.float64]
MODELS = 4
CONTROL = "centre"
"""The order of one map that no model made."""

Statistic = Callable[[Floats], float]
"""Of gains [models, maps]."""


@dataclass(frozen=True)
class Areas:
    """Areas of deletion on some images.

    Attributes:
        random: RA [images, models].
        oracle: DA* [images, models].
        maps: C [images, models, maps]; the last map is the control.
    """

    random: Floats
    oracle: Floats
    maps: Floats

    @property
    def rows(self) -> Floats:
        """All areas of each image in a row."""
        return np.concatenate(
            [self.random, self.oracle, self.maps.reshape(len(self.maps), -1)], axis=1
        )

    @property
    def parts(self) -> Mapping[str, Floats]:
        """As the metric names them."""
        names = [*map(str, range(MODELS)), CONTROL]
        found = {}
        for j in range(MODELS):
            found[CrossModel.random_area(j)] = self.random[:, j]
            found[CrossModel.oracle_area(j)] = self.oracle[:, j]
            for k, name in enumerate(names):
                found[CrossModel.map_area(j, name)] = self.maps[:, j, k]
        return found


GAINS = np.array(
    [
        [0.9, 0.5, 0.4, 0.2, 0.1],
        [0.6, 0.7, 0.3, 0.1, 0.0],
        [0.8, 0.4, 0.8, 0.3, 0.2],
        [0.7, 0.6, 0.5, 0.3, -0.1],
    ]
)
"""What the maps are worth to the models, of all images that there could be."""


def drawn(rng: np.random.Generator, images: int) -> Areas:
    """Images of which all models find the same ones hard; the gains of all images are `GAINS`."""
    hard = rng.beta(3, 4, (images, 1))
    won = hard * rng.beta(6, 3, (images, MODELS))  # RA - DA*
    random = 0.3 + won * rng.uniform(0.8, 1.2, won.shape)
    noise = rng.normal(0, 0.25, (images, MODELS, MODELS + 1))
    return Areas(random, random - won, random[..., None] - won[..., None] * (GAINS + noise))


def gains(totals: Floats) -> Floats:
    """`(RA_j - C_jk) / (RA_j - DA*_j)` of the means or sums of a row of areas."""
    random, oracle = totals[:MODELS], totals[MODELS : 2 * MODELS]
    maps = totals[2 * MODELS :].reshape(MODELS, MODELS + 1)
    return (random[:, None] - maps) / (random - oracle)[:, None]


def others(found: Floats, model: int) -> Floats:
    return np.delete(found, model, axis=0)


STATISTICS: dict[str, tuple[CrossModel, Statistic]] = {
    "gain": (CrossModel.gain(2, "1"), lambda g: g[2, 1]),
    "quality": (CrossModel.quality("1", MODELS), lambda g: others(g, 1)[:, 1].mean()),
    "control": (CrossModel.quality(CONTROL, MODELS), lambda g: g[:, MODELS].mean()),
    "advantage": (
        CrossModel.own_advantage(2, MODELS),
        lambda g: g[2, 2] - np.delete(g[2, :MODELS], 2).mean(),
    ),
    "mean quality": (
        CrossModel.mean_quality(MODELS),
        lambda g: g[:, :MODELS][~np.eye(MODELS, dtype=bool)].mean(),
    ),
}

several = pytest.mark.parametrize("name", STATISTICS)


def contrast_of(reduction: CrossModel, areas: Areas, scores: Floats | None = None) -> ArmContrast:
    own = np.zeros(len(areas.random)) if scores is None else scores
    return reduction.contrast(own, areas.parts)


def delta_error(rows: Floats, statistic: Statistic) -> float:
    """`sqrt(g' S g / n)` with the covariance S of the areas and the gradient g at their means."""
    means, step = rows.mean(axis=0), 1e-6
    ends = [means + sign * step * np.eye(len(means)) for sign in (1, -1)]
    up, down = ([statistic(gains(point)) for point in points] for points in ends)
    gradient = (np.array(up) - np.array(down)) / (2 * step)
    covariance = np.cov(rows, rowvar=False)
    return float(np.sqrt(gradient @ covariance @ gradient / len(rows)))


@several
def test_estimates_are_those_of_the_sums(name: str) -> None:
    reduction, statistic = STATISTICS[name]
    areas = drawn(np.random.default_rng(1), 23)
    contrast = contrast_of(reduction, areas)
    assert contrast.estimate() == pytest.approx(statistic(gains(areas.rows.sum(axis=0))), rel=1e-12)
    assert reduction.estimate(contrast, contrast) == contrast.estimate()


@several
def test_an_image_that_lacks_a_score_or_a_part_is_in_no_sum(name: str) -> None:
    reduction, statistic = STATISTICS[name]
    areas = drawn(np.random.default_rng(2), 20)
    scores = np.where(np.arange(20) == 3, np.nan, 0.0)
    model = reduction.weights[0][0]
    areas.random[7, model] = np.nan
    kept = np.delete(areas.rows, [3, 7], axis=0)
    contrast = contrast_of(reduction, areas, scores)
    assert contrast.count == 18
    assert all(arm.count == 18 for arm in contrast.arms)
    assert contrast.estimate() == pytest.approx(statistic(gains(kept.sum(axis=0))), rel=1e-12)


@several
def test_standard_errors_are_those_of_the_delta_method(name: str) -> None:
    reduction, statistic = STATISTICS[name]
    areas = drawn(np.random.default_rng(3), 40)
    found = contrast_of(reduction, areas).standard_error()
    assert found == pytest.approx(delta_error(areas.rows, statistic), rel=1e-6)


def chosen(images: int, seed: int, count: int) -> list[NDArray[np.intp]]:
    """The images of the first resamples that the module draws."""
    weights = next(bootstrap._weights(images, np.random.default_rng(seed)))[:count]
    return [np.repeat(np.arange(images), row.astype(int)) for row in weights]


def distribution(contrast: ArmContrast, seed: int) -> Studentised:
    (found,) = bootstrap_t([contrast], seed=seed)
    assert found is not None
    return found


@several
def test_pivots_are_those_of_every_resample_computed_alone(name: str) -> None:
    reduction, statistic = STATISTICS[name]
    areas = drawn(np.random.default_rng(4), 15)
    rows = areas.rows
    whole = statistic(gains(rows.sum(axis=0)))
    expected = [
        (statistic(gains(rows[i].sum(axis=0))) - whole) / delta_error(rows[i], statistic)
        for i in chosen(15, seed=5, count=150)
    ]
    pivots = distribution(contrast_of(reduction, areas), seed=5).pivots[:150]
    np.testing.assert_allclose(pivots, expected, rtol=1e-5, atol=1e-7)


def test_pivots_of_a_difference_of_two_qualities_are_those_of_every_resample() -> None:
    """Arms that both sides have in common become one; the sum has as many arms as models."""
    first, second = (CrossModel.quality(order, MODELS) for order in ("0", "3"))
    areas = drawn(np.random.default_rng(6), 15)
    contrast = contrast_of(first, areas).minus(contrast_of(second, areas))
    assert len(contrast.arms) == MODELS

    def statistic(g: Floats) -> float:
        return others(g, 0)[:, 0].mean() - others(g, 3)[:, 3].mean()

    rows = areas.rows
    whole = statistic(gains(rows.sum(axis=0)))
    assert contrast.estimate() == pytest.approx(whole, rel=1e-12)
    assert contrast.standard_error() == pytest.approx(delta_error(rows, statistic), rel=1e-6)
    expected = [
        (statistic(gains(rows[i].sum(axis=0))) - whole) / delta_error(rows[i], statistic)
        for i in chosen(15, seed=5, count=150)
    ]
    pivots = distribution(contrast, seed=5).pivots[:150]
    np.testing.assert_allclose(pivots, expected, rtol=1e-5, atol=1e-7)


def test_of_many_images_the_interval_is_the_normal_one() -> None:
    reduction, statistic = STATISTICS["mean quality"]
    areas = drawn(np.random.default_rng(7), 1500)
    found = distribution(contrast_of(reduction, areas), seed=0)
    error = delta_error(areas.rows, statistic)
    estimate = statistic(gains(areas.rows.mean(axis=0)))
    # Resampling error of a 2.5 % quantile of 10,000 pivots: about 0.03 standard errors.
    for tail, normal in ((0.025, -1.96), (0.975, 1.96)):
        assert found.limit(tail) == pytest.approx(estimate + normal * error, abs=0.12 * error)
    assert abs(estimate - statistic(GAINS)) < 4 * error


def test_intervals_over_a_panel_hold_the_truth_as_often_as_they_say() -> None:
    """120 samples of 20 images: a share of 0.95 has a binomial standard error of 0.02."""
    trials, held = 120, dict.fromkeys(("quality", "advantage", "mean quality"), 0)
    for trial in range(trials):
        areas = drawn(np.random.default_rng(1000 + trial), 20)
        contrasts = [contrast_of(STATISTICS[name][0], areas) for name in held]
        for name, found in zip(held, bootstrap_t(contrasts, seed=trial), strict=True):
            assert found is not None
            low, high = found.limit(0.025), found.limit(0.975)
            assert low is not None
            assert high is not None
            held[name] += low <= STATISTICS[name][1](GAINS) <= high
    assert all(0.89 <= count / trials <= 0.995 for count in held.values()), held
