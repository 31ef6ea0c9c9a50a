"""First answers against what was found or stated of a class output."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from heatproof.evaluators.errors import InvalidArgumentError, UnsupportedModelError
from heatproof.evaluators.queries.class_outputs import Basis, ClassOutput, Reading
from heatproof.evaluators.queries.first_answers import MOST_ANSWERS, FirstAnswers


def reading(
    activation: str, basis: Basis, *, is_binary: bool = False, is_linear: bool = False
) -> Reading:
    output = ClassOutput("m", "p", "p", 3, activation, is_binary, basis, "")
    return Reading(output, is_linear=is_linear)


def show(held: Reading, answers: Sequence[Sequence[float]]) -> None:
    watch = FirstAnswers(held, len(answers))
    for answer in answers:
        watch.see(np.array(answer, np.float32))


UNKNOWN = reading("none", Basis.ASSUMED)
SHARES = [0.2, 0.3, 0.5]
LOGITS = [2.0, -1.0, 0.5]


@pytest.mark.parametrize("count", [1, 2, MOST_ANSWERS, 3 * MOST_ANSWERS])
def test_answers_that_all_look_like_probabilities_are_refused(count: int) -> None:
    with pytest.raises(UnsupportedModelError, match="--activation softmax"):
        show(UNKNOWN, [SHARES] * count)


def test_one_answer_that_is_none_is_enough() -> None:
    show(UNKNOWN, [SHARES, LOGITS, SHARES])
    show(UNKNOWN, [LOGITS, *[SHARES] * 20])


MULTI_LABEL = [[0.9, 0.8, 0.1], [0.2, 0.7, 0.9], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("count", [1, 2, MOST_ANSWERS, 3 * MOST_ANSWERS])
def test_answers_in_the_unit_interval_are_refused_whatever_their_sum(count: int) -> None:
    with pytest.raises(UnsupportedModelError, match="--activation sigmoid") as caught:
        show(UNKNOWN, (MULTI_LABEL * count)[:count])
    assert "sum to 1, and" not in caught.value.message


def test_a_value_beyond_the_unit_interval_lets_logits_pass() -> None:
    show(UNKNOWN, [*MULTI_LABEL, [0.9, 1.1, 0.1]])
    show(UNKNOWN, [*MULTI_LABEL, [0.9, -0.1, 0.1]])


def test_small_logits_of_a_linear_layer_are_no_probabilities_unless_they_sum_to_one() -> None:
    linear = reading("none", Basis.ASSUMED, is_linear=True)
    show(linear, MULTI_LABEL[:2])
    with pytest.raises(UnsupportedModelError, match="sum to 1"):
        show(linear, [SHARES] * 3)


def test_what_is_stated_as_logits_may_lie_in_the_unit_interval() -> None:
    show(reading("none", Basis.STATED), MULTI_LABEL[:2] * 10)


def test_answers_that_are_not_finite_are_left_out() -> None:
    with pytest.raises(UnsupportedModelError):
        show(UNKNOWN, [[np.nan, 0, 1], SHARES])
    show(UNKNOWN, [[np.nan, 0, 1]] * 3)


def test_a_found_activation_is_not_questioned() -> None:
    for activation in ("softmax", "sigmoid", "log_softmax"):
        show(reading(activation, Basis.GRAPH), [SHARES, LOGITS])


@given(arrays(np.float32, 3, elements=st.floats(-20, 20, width=32)))
def test_stated_probabilities_pass_and_logarithms_of_them_are_what_is_read(z: np.ndarray) -> None:
    shares = np.exp(z.astype(np.float64)) / np.exp(z.astype(np.float64)).sum()
    show(reading("softmax", Basis.STATED), [list(np.log(np.maximum(shares, 1e-12)))])


def logarithms(values: Sequence[float]) -> list[float]:
    """As the canonical graph makes logits of values stated to be a softmax."""
    return list(np.log(np.maximum(np.array(values), 1e-12)))


def chances(values: Sequence[float]) -> list[float]:
    """As it makes logits of values stated to be sigmoids."""
    held = np.array(values)
    return list(np.log(np.maximum(held, 1e-7)) - np.log(np.maximum(1 - held, 1e-7)))


@pytest.mark.parametrize("values", [[0.5, 0.5, 0.5], [1.5, -0.5, 0.0], [-1, -2, -3], [3, 1, 2]])
def test_values_that_are_no_softmax_contradict_it(values: Sequence[float]) -> None:
    with pytest.raises(InvalidArgumentError, match="stated as softmax") as caught:
        show(reading("softmax", Basis.STATED), [logarithms(values)])
    assert caught.value.field == "activation"


@pytest.mark.parametrize("values", [[1.2, 0.5, 0.5], [-0.1, 0.5, 0.5], [-4, -9, -2]])
def test_values_outside_the_unit_interval_are_no_sigmoids(values: Sequence[float]) -> None:
    with pytest.raises(InvalidArgumentError, match="stated as sigmoid"):
        show(reading("sigmoid", Basis.STATED), [chances(values)])


@pytest.mark.parametrize("values", [[0.0, 1.0, 0.5], [1e-9, 1 - 1e-9, 0.3]])
def test_sigmoids_may_reach_their_ends(values: Sequence[float]) -> None:
    show(reading("sigmoid", Basis.STATED), [chances(values)])


def test_probabilities_stated_as_logits_are_refused_if_they_go_on() -> None:
    held = reading("none", Basis.STATED)
    show(held, [SHARES])
    show(held, [SHARES, LOGITS])
    with pytest.raises(InvalidArgumentError, match="state softmax"):
        show(held, [SHARES] * 2)


def halves(values: Sequence[float]) -> list[list[float]]:
    return [[-value / 2, value / 2] for value in values]


def test_one_value_in_the_unit_interval_is_logit_or_probability() -> None:
    open_ended = reading("none", Basis.ASSUMED, is_binary=True)
    with pytest.raises(UnsupportedModelError, match="--activation sigmoid"):
        show(open_ended, halves([0.1, 0.9, 0.5]))
    show(open_ended, halves([0.1, 1.9, 0.5]))


def test_a_linear_layer_gives_logits_unless_it_always_says_one() -> None:
    linear = reading("none", Basis.ASSUMED, is_binary=True, is_linear=True)
    show(linear, halves([0.1, 0.9, 0.5]))
    with pytest.raises(UnsupportedModelError):
        show(linear, halves([1.0, 1.0, 1.0]))
