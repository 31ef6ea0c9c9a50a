import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from heatproof.evaluators.metrics import LocalizationAuc
from heatproof.evaluators.metrics.localization.localization_auc import RankSummary
from tests.evaluators.metrics.localization.scoring import number, scored

PRECISION = LocalizationAuc(RankSummary.PRECISION)
TIED = npst.arrays(np.float64, (4, 5), elements=st.integers(-3, 3).map(float)).filter(
    lambda made: made.min() < made.max()
)
OBJECTS = npst.arrays(np.bool_, (4, 5)).filter(lambda made: made.any() and not made.all())


@given(TIED, OBJECTS)
def test_the_area_is_the_share_of_pairs_that_are_ordered_rightly(
    attribution: np.ndarray, objects: np.ndarray
) -> None:
    inside, beyond = attribution[objects], attribution[~objects]
    pairs = np.sign(inside[:, None] - beyond[None]) / 2 + 0.5
    assert number(LocalizationAuc(), attribution, objects) == pytest.approx(pairs.mean(), rel=1e-12)


@given(TIED, OBJECTS)
def test_the_average_precision_is_a_sum_over_thresholds(
    attribution: np.ndarray, objects: np.ndarray
) -> None:
    total, last = 0.0, 0.0
    for threshold in sorted(set(attribution.reshape(-1).tolist()), reverse=True):
        chosen = attribution >= threshold
        recall = (chosen & objects).sum() / objects.sum()
        total += (recall - last) * (chosen & objects).sum() / chosen.sum()
        last = recall
    assert number(PRECISION, attribution, objects) == pytest.approx(total, rel=1e-12)


@given(TIED, OBJECTS)
def test_turning_map_or_object_over_turns_the_area_over(
    attribution: np.ndarray, objects: np.ndarray
) -> None:
    area = number(LocalizationAuc(), attribution, objects)
    assert number(LocalizationAuc(), -attribution, objects) == pytest.approx(1 - area, abs=1e-12)
    assert number(LocalizationAuc(), attribution, ~objects) == pytest.approx(1 - area, abs=1e-12)
    grown = np.exp(attribution)  # only the order matters
    assert number(LocalizationAuc(), grown, objects) == area


def test_chance_is_half_or_the_share_of_the_object() -> None:
    slope = np.arange(20.0).reshape(4, 5)
    objects = slope < 5
    assert scored(LocalizationAuc(), slope, objects).parts == {"chance": 0.5}
    assert scored(PRECISION, slope, objects).parts == {"chance": 0.25}
