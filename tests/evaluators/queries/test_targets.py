import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heatproof.evaluators.errors import InvalidArgumentError
from heatproof.evaluators.images.labels import LabelSet
from heatproof.evaluators.queries.procedure import Prediction
from heatproof.evaluators.queries.targets import (
    LABEL,
    NO_CLASS,
    PREDICTED,
    Contrast,
    FixedClass,
    Group,
    Head,
    Target,
)

CLASSES = 5
LOGITS = st.lists(st.floats(-20, 20, width=32), min_size=CLASSES, max_size=CLASSES)
HEADS: list[Head] = [FixedClass(2), Contrast(1, 3), Group((0, 4)), Group((2,))]


def softmax_answer(logits: list[float]) -> Prediction:
    grown = np.exp(np.array(logits, np.float64) - max(logits))
    return Prediction(np.array(logits, np.float32), grown / grown.sum(), 1.0)


def sigmoid_answer(logits: list[float]) -> Prediction:
    probabilities = 1 / (1 + np.exp(-np.array(logits, np.float64)))
    return Prediction(np.array(logits, np.float32), probabilities, 1.0)


@given(LOGITS)
@pytest.mark.parametrize("head", HEADS, ids=str)
def test_the_logit_is_the_weighted_sum_that_gradients_are_taken_of(
    head: Head, logits: list[float]
) -> None:
    answer = softmax_answer(logits)
    weighted = np.float64(head.weights(CLASSES)) @ answer.logits.astype(np.float64)
    assert head.logit(answer) == pytest.approx(weighted, rel=1e-6, abs=1e-5)


@given(LOGITS)
def test_a_contrast_is_the_probability_of_the_one_given_that_it_is_one_of_the_two(
    logits: list[float],
) -> None:
    head = Contrast(1, 3)
    answer = softmax_answer(logits)
    one, two = answer.probabilities[1], answer.probabilities[3]
    assert head.probability(answer) == pytest.approx(one / (one + two), rel=1e-9)
    apart = sigmoid_answer(logits).probabilities
    one, two = apart[1] * (1 - apart[3]), apart[3] * (1 - apart[1])
    assert head.probability(sigmoid_answer(logits)) == pytest.approx(one / (one + two), rel=1e-6)


@given(LOGITS)
def test_the_two_directions_of_a_contrast_share_one_probability(logits: list[float]) -> None:
    answer = softmax_answer(logits)
    both = Contrast(1, 3).probability(answer) + Contrast(3, 1).probability(answer)
    assert both == pytest.approx(1, rel=1e-12)


def test_a_contrast_of_far_logits_does_not_overflow() -> None:
    answer = softmax_answer([0, -2000, 0, 2000, 0])
    assert (Contrast(1, 3).probability(answer), Contrast(3, 1).probability(answer)) == (0, 1)


@given(LOGITS)
def test_a_group_of_one_is_the_class_and_a_group_of_all_has_the_mean(logits: list[float]) -> None:
    answer = softmax_answer(logits)
    for name in ("logit", "probability"):
        assert getattr(Group((2,)), name)(answer) == getattr(FixedClass(2), name)(answer)
    assert Group(tuple(range(CLASSES))).probability(answer) == pytest.approx(1 / CLASSES)


def test_a_margin_compares_with_what_lies_outside() -> None:
    answer = softmax_answer([1, 2, 3, 4, 6])
    assert FixedClass(2).margin(answer, competing=True) == 3 - 6
    assert FixedClass(4).margin(answer, competing=True) == 6 - 4
    assert Contrast(1, 3).margin(answer, competing=True) == 2 - 4
    assert Group((3, 4)).margin(answer, competing=True) == 5 - 3
    assert Group((3, 4)).margin(answer, competing=False) == 5


def test_the_predicted_class_and_the_label_become_one_class() -> None:
    answer = softmax_answer([0, 3, 1, 2, 0])
    assert PREDICTED.head(4, answer) == FixedClass(1)
    assert LABEL.head(4, answer) == FixedClass(4)


def test_a_set_of_labels_becomes_the_group_of_its_classes() -> None:
    answer = sigmoid_answer([0.0, 1.0, 3.0, 2.0, 1.0])
    assert LABEL.head(LabelSet((1, 4)), answer) == Group((1, 4))
    assert LABEL.head(LabelSet((4,)), answer) == FixedClass(4)
    assert LABEL.head(LabelSet(()), answer) == PREDICTED.head(None, answer) == FixedClass(2)
    assert Contrast(1, 3).head(4, answer).class_index == NO_CLASS


@pytest.mark.parametrize(
    ("target", "field"),
    [
        (FixedClass(CLASSES), "fixed_class.index"),
        (FixedClass(-1), "fixed_class.index"),
        (Contrast(0, CLASSES), "contrast.against.index"),
        (Contrast(2, 2), "contrast.against"),
        (Group(()), "group.classes"),
        (Group((0, CLASSES)), "group.classes[1].index"),
        (Group((0, 1, 0)), "group.classes[2]"),
    ],
)
def test_a_target_that_a_model_does_not_have_is_refused(target: Target, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        target.check(CLASSES)
    assert caught.value.field == field
