import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.metrics import AttributionLocalization, EffectiveHeatRatio
from tests.evaluators.metrics.localization.scoring import number, scored

OBJECT = np.zeros((5, 7), np.bool_)
OBJECT[1:4, 2:5] = True
MAPS = npst.arrays(np.float64, (5, 7), elements=st.integers(-8, 16).map(float)).filter(
    lambda made: made.min() < made.max() and made.max() > 0
)


@given(MAPS, st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=4))
def test_the_ratio_is_read_off_each_threshold(
    attribution: np.ndarray, thresholds: list[float]
) -> None:
    ratios = []
    for tau in thresholds:
        hot = [
            (value, OBJECT[place])
            for place, value in np.ndenumerate(np.maximum(attribution, 0))
            if value >= tau * attribution.max()
        ]
        ratios.append(sum(v for v, on in hot if on) / sum(v for v, _ in hot))
    found = number(EffectiveHeatRatio(tuple(thresholds)), attribution, OBJECT)
    assert found == pytest.approx(np.mean(ratios), rel=1e-12)


@given(MAPS)
def test_at_0_it_is_the_share_of_the_mass_and_at_1_that_of_the_highest_pixels(
    attribution: np.ndarray,
) -> None:
    assert number(EffectiveHeatRatio((0.0,)), attribution, OBJECT) == number(
        AttributionLocalization(), attribution, OBJECT
    )
    highest = attribution == attribution.max()
    share = (highest & OBJECT).sum() / highest.sum()
    assert number(EffectiveHeatRatio((1.0,)), attribution, OBJECT) == pytest.approx(share)


def test_the_default_thresholds_are_tenths() -> None:
    steps = np.zeros((5, 7))
    steps.reshape(-1)[:11] = np.arange(11) / 10
    ratios = [
        steps[OBJECT & (steps >= t / 10 - 1e-9)].sum() / steps[steps >= t / 10 - 1e-9].sum()
        for t in range(1, 10)
    ]
    found = scored(EffectiveHeatRatio(), steps, OBJECT)
    assert found.score == pytest.approx(np.mean(ratios))
    assert found.parts == {"chance": pytest.approx(9 / 35)}
