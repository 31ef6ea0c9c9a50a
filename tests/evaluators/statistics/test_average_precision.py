"""Average precision by its definition, and what each image adds to it."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from heatproof.evaluators.statistics.average_precision import average_precisions


def weighted_average_precision(
    scores: NDArray[np.float64], shown: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float:
    """`sum over thresholds of (recall - the one before) * precision`, each image by its weight."""
    total, before = 0.0, 0.0
    for threshold in sorted(set(scores.tolist()), reverse=True):
        above = scores >= threshold
        recall = (weights * shown)[above].sum() / (weights * shown).sum()
        total += (recall - before) * (weights * shown)[above].sum() / weights[above].sum()
        before = recall
    return total


def mean_over_classes(
    scores: NDArray[np.float64], shown: NDArray[np.bool_], weights: NDArray[np.float64]
) -> float:
    held = [index for index in range(scores.shape[1]) if shown[:, index].any()]
    return float(
        np.mean([weighted_average_precision(scores[:, k], shown[:, k], weights) for k in held])
    )


@st.composite
def ranked(draw: Any) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of which many are equal, and classes of which some are shown by none or by all."""
    images, classes = draw(st.integers(2, 12)), draw(st.integers(1, 4))
    cells = images * classes
    scores = draw(st.lists(st.integers(-4, 4), min_size=cells, max_size=cells))
    shown = draw(st.lists(st.booleans(), min_size=cells, max_size=cells))
    held = np.array(shown).reshape(images, classes)
    held[0, 0] = True
    return np.array(scores, np.float64).reshape(images, classes), held


@given(ranked())
def test_each_class_has_the_average_precision_of_its_definition(found: Any) -> None:
    scores, shown = found
    ones = np.ones(len(scores))
    made = average_precisions(scores, shown)
    assert made.classes.tolist() == np.flatnonzero(shown.any(axis=0)).tolist()
    assert made.positives.tolist() == shown.sum(axis=0)[made.classes].tolist()
    for index, value in zip(made.classes, made.values, strict=True):
        expected = weighted_average_precision(scores[:, index], shown[:, index], ones)
        assert value == pytest.approx(expected, abs=1e-12)


@given(ranked())
def test_the_linearized_scores_average_to_the_mean_average_precision(found: Any) -> None:
    made = average_precisions(*found)
    assert made.influence.sum() == pytest.approx(0, abs=1e-10)
    assert made.linearized.mean() == pytest.approx(made.values.mean(), abs=1e-12)


@given(ranked())
def test_the_influence_is_the_derivative_by_an_images_weight(found: Any) -> None:
    scores, shown = found
    made, step = average_precisions(scores, shown), 1e-6
    for place in range(len(scores)):
        nudge = np.zeros(len(scores))
        nudge[place] = step
        up = mean_over_classes(scores, shown, 1 + nudge)
        down = mean_over_classes(scores, shown, 1 - nudge)
        slope = (up - down) / (2 * step)
        assert made.influence[place] == pytest.approx(len(scores) * slope, abs=1e-6)


@given(ranked(), st.integers(0, 2**16))
def test_order_of_the_images_and_growing_functions_of_the_scores_change_nothing(
    found: Any, seed: int
) -> None:
    scores, shown = found
    order = np.random.default_rng(seed).permutation(len(scores))
    made = average_precisions(scores, shown)
    moved = average_precisions(np.exp(scores[order]), shown[order])
    np.testing.assert_allclose(moved.values, made.values, atol=1e-12)
    np.testing.assert_allclose(moved.influence, made.influence[order], atol=1e-9)


def test_closed_forms() -> None:
    scores = np.array([4.0, 3, 2, 1])[:, None]
    shown = np.array([[True], [False], [True], [False]])
    assert average_precisions(scores, shown).mean == pytest.approx((1 + 2 / 3) / 2)
    assert average_precisions(scores * 0, shown).mean == pytest.approx(1 / 2)  # the prevalence
    assert average_precisions(-scores, shown).mean == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert average_precisions(scores, scores > 2).mean == 1
    assert np.isnan(average_precisions(scores, scores > 9).mean)


def test_the_standard_error_is_that_of_samples() -> None:
    """What the linearized scores tell of the spread, against the spread over 400 samples."""
    rng = np.random.default_rng(0)

    def drawn() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        shown = rng.random((300, 3)) < (0.2, 0.4, 0.6)
        return shown + rng.normal(0, 1, shown.shape), shown

    made = [average_precisions(*drawn()) for _ in range(400)]
    spread = np.std([one.mean for one in made], ddof=1)
    told = np.mean([one.influence.std(ddof=1) / np.sqrt(300) for one in made])
    assert told == pytest.approx(spread, rel=0.1)
